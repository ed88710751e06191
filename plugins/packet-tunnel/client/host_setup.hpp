// All that a client changes of its host, and undoes: device, addresses, routes, resolver, kill switch.
#pragma once

#include "plugins/packet-tunnel/client/console.hpp"
#include "plugins/packet-tunnel/client/kill_switch.hpp"
#include "plugins/packet-tunnel/client/state_file.hpp"
#include "plugins/packet-tunnel/common/netlink.hpp"

#include <gatehouse/net/tun_device.hpp>

#include <optional>

namespace gatehouse::packet_tunnel {

/// Not thread-safe. Every change is written down before it is made.
class HostSetup {
 public:
  /// Takes the device's lock, undoes what an earlier process has left, and shuts the way out where that is asked for.
  /// @throws std::runtime_error  a sentence
  HostSetup(const ClientSettings& settings, Console& console);
  /// undo(), without ending the kill switch.
  ~HostSetup();

  /// Makes the device with its addresses; or takes over the one of --device-fd, or one of that name that is there and
  /// up, as it is. Nothing is routed to a new one. @throws std::runtime_error  a sentence
  [[nodiscard]] TunDevice make_device();
  /// What packets of the device may come from; empty: it is not known.
  [[nodiscard]] std::vector<DeviceAddress> addresses();

  /// On our own packets to servers: 0 where neither routes nor the kill switch ask for one.
  [[nodiscard]] std::uint32_t mark() const noexcept { return marks_ ? changes_.number : 0; }
  [[nodiscard]] const KnownServers& known() const noexcept { return changes_.known; }

  /// The tunnel is there: the device's MTU, and what is not there yet of routes and resolver.
  /// @param mtu  bytes, what the server has said @return bytes of the longest packet to send
  std::size_t connected(std::size_t mtu, bool has_ipv6, const KnownServers& known);

  /// Undoes everything; what cannot be undone is said. @param unblocks  ends the kill switch, too
  void undo(bool unblocks) noexcept;

  /// How servers are had now.
  [[nodiscard]] Opener::Way way() const;
  /// Does the way to `server` still begin at the interface that has `local`, our end of the connection? False where
  /// that address is gone, too.
  [[nodiscard]] bool is_on_its_way(const IpAddress& local, const IpAddress& server);

 private:
  void hold_number();
  void hold_resolv_conf();
  void undo_earlier();
  void put_routes(bool has_ipv6);
  void put_dns();
  void soften_path_filters();
  [[nodiscard]] TunDevice adopt_device();
  void refuse_taken_addresses();
  void wait_until_taken(const IpAddress& own);
  template <class Step>
  void try_to(const char* what, Step&& step) noexcept;

  const ClientSettings& settings_;
  Console& console_;
  StateFile state_;
  Netlink netlink_;
  std::optional<Nft> nft_;
  UniqueFd number_lock_, resolv_conf_lock_;
  HostChanges changes_;
  unsigned link_ = 0;
  bool marks_ = false, is_undone_ = false, has_dns_ = false;
  bool is_foreign_ = false;  // the device: somebody else has set it up
  std::optional<bool> routed_with_ipv6_;
};

}  // namespace gatehouse::packet_tunnel
