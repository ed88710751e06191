// What a client has changed of the host, written down before it is done: whoever comes after a crash undoes it.
#pragma once

#include "plugins/packet-tunnel/client/opener.hpp"
#include "plugins/packet-tunnel/common/routing.hpp"

#include <gatehouse/base/unique_fd.hpp>

#include <filesystem>
#include <string>
#include <vector>

namespace gatehouse::packet_tunnel {

struct HostChanges {
  std::uint32_t number = 0;           ///< of our table of routes; 0 = none
  std::vector<RoutingRule> rules;     ///< that were made
  bool marks_connections = false;     ///< the table of nftables for strict reverse path filters
  std::string source_mark_before;     ///< net.ipv4.conf.all.src_valid_mark; "" = as it was
  std::filesystem::path resolv_conf;  ///< that was replaced; "" = none
  bool is_blocked = false;            ///< --block-when-down; stays until it is ended
  KnownServers known;                 ///< for the time in which names cannot be looked up

  [[nodiscard]] std::string to_json() const;
  /// What cannot be understood is left out.
  [[nodiscard]] static HostChanges from_json(const std::string& text);
};

/// Not thread-safe. One process at a time has the files of a device.
class StateFile {
 public:
  /// Makes the folder (mode 0755) and takes the lock.
  /// @throws std::runtime_error  a sentence: the folder cannot be used, or another gatehouse-tunnel has this device
  StateFile(const std::filesystem::path& dir, const std::string& device);

  /// What an earlier process has left; nothing where it has undone all.
  [[nodiscard]] HostChanges load() const;
  /// At once or not at all. @throws std::runtime_error  a sentence
  void save(const HostChanges& changes) const;
  void remove() const noexcept;

  /// A lock of that name in the folder, until the descriptor is closed. Empty: another process has it.
  /// @throws std::runtime_error  a sentence: the folder cannot be used
  [[nodiscard]] UniqueFd try_lock(const std::string& name) const;
  /// The same; waits half a second at most.
  [[nodiscard]] UniqueFd lock(const std::string& name) const;

 private:
  std::filesystem::path dir_, file_;
  UniqueFd lock_;
};

}  // namespace gatehouse::packet_tunnel
