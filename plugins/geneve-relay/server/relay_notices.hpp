// What `gatehouse status` says of the relay: that it is full, and where the kernel gives it less than it asks for.
#pragma once

#include "plugins/geneve-relay/server/relay_socket.hpp"
#include "plugins/geneve-relay/server/settings.hpp"
#include "plugins/geneve-relay/server/shared.hpp"

#include <gatehouse/plugin/notices.hpp>

#include <map>
#include <memory>
#include <span>
#include <string>

namespace gatehouse::geneve_relay {

/// Of one lane, which speaks for all: they have the same sockets, and one room. Calls cost little while nothing
/// changes.
class RelayNotices {
 public:
  /// @param buffer  bytes that each socket was asked to have for what is not read yet
  RelayNotices(const Host& host, int buffer) : notices_(host), log_(host.log()), buffer_(buffer) {}

  /// The gateway is degraded while endpoints are refused, or make place, for want of room or of VNIs.
  void tell_room(RelayShared& shared, const RelaySettings& settings, SteadyTime now);
  /// Notes, and warnings in the log: it works without, slower.
  void tell_sockets(std::span<const std::unique_ptr<RelaySocket>> sockets, const RelaySettings& settings);

 private:
  [[nodiscard]] bool has_changed(const std::string& name, const std::string& sentence);
  void degrade(const std::string& name, const std::string& sentence);
  void note(const std::string& name, const std::string& sentence);

  Notices notices_;
  Log log_;
  const int buffer_;
  std::map<std::string, std::string> told_;  // sentences, by name
};

}  // namespace gatehouse::geneve_relay
