// geneve-relay's options as values. Immutable: a change at run time is a new object.
#pragma once

#include <gatehouse/base/address.hpp>
#include <gatehouse/base/clock.hpp>
#include <gatehouse/net/gso.hpp>
#include <gatehouse/plugin/options.hpp>

#include <cstdint>
#include <vector>

namespace gatehouse::geneve_relay {

struct RelaySettings {
  /// Throws std::invalid_argument with a sentence for what the schema cannot judge.
  explicit RelaySettings(const Options& options);
  /// Throws NeedsRestart where sockets would have to be made anew.
  void check_change(const RelaySettings& from) const;

  std::vector<Endpoint> advertise;     ///< where clients reach the relay; none: it finds out by itself
  std::vector<Endpoint> stun_servers;  ///< asked how the relay is seen from outside
  Nanoseconds bind_lifetime{};
  Nanoseconds steady_lifetime{};  ///< 0 = for ever
  std::size_t most_endpoints = 0;
  std::uint64_t handshakes_of_source = 0, handshakes_of_lane = 0;  ///< a second; 0 = no limit
  Gso gso = Gso::automatic;
  bool uses_kernel = false;  ///< fast_path = "xdp"
};

}  // namespace gatehouse::geneve_relay
