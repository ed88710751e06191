// What the server changes on its host for one tun device: addresses, MTU, forwarding, NAT; and undoes.
#pragma once

#include "plugins/packet-tunnel/common/netlink.hpp"
#include "plugins/packet-tunnel/server/nat_table.hpp"
#include "plugins/packet-tunnel/server/tunnel_prefixes.hpp"

#include <gatehouse/net/tun_device.hpp>

#include <memory>

namespace gatehouse::packet_tunnel {

enum class Ipv6Mode {
  automatic,  ///< where the host has it: a failure is a note, and clients have IPv4 only
  off,
  required,  ///< a failure is an error
};

struct HostNetworkSettings {
  std::string ipv4_prefix = "auto";
  std::string ipv6_prefix{kDefaultV6Prefix};
  Ipv6Mode ipv6 = Ipv6Mode::automatic;
  unsigned mtu = 1500;           ///< bytes of an IP packet
  unsigned queue_length = 1000;  ///< packets that each of the device's queues holds (txqueuelen; a tun device's own 500
                                 ///< are 0.6 ms of 10 Gbit/s in MTU frames, less than a lane's turn)
  bool nat = true;               ///< false: neither rules nor forwarding are touched, the operator has his own
  std::string egress_interface{};  ///< as in NatSettings
  std::optional<std::uint32_t> mark{};
  std::uint32_t connections_per_client = 0;
};

/// Control threads only; needs CAP_NET_ADMIN, unless the device is adopted and nat is off. An adopted device is left as
/// it is: whoever made it gives it addresses and MTU.
class HostNetwork {
 public:
  /// Chooses the prefixes and sets everything up; a device that was there is brought to these settings, and keeps its
  /// prefix if that is still free. `device` may go before this.
  /// @param name_servers  that clients' queries are sent to: the prefixes must not hold them
  /// @throws HostError, std::invalid_argument  a sentence; what was changed until then is undone
  HostNetwork(const TunDevice& device, const HostNetworkSettings& settings, std::span<const Endpoint> name_servers);
  /// Removes the NAT rules, unless keep() was called. Addresses and routes go with the device. Forwarding stays on:
  /// others of the host may rely on it by now, and whoever turned it off would cut them off.
  ~HostNetwork();

  /// Leaves everything as it is when this goes: another instance goes on with the same device.
  void keep() noexcept;

  /// v6() is there only if clients have IPv6.
  [[nodiscard]] const TunnelPrefixes& prefixes() const noexcept { return prefixes_; }
  /// Sees to the NAT rules, as NatTable::restore() does. @throws HostError
  bool restore_rules();

  /// Sentences for the operator: which settings of the host were changed for good, what is missing for IPv6, which
  /// firewall still drops what is forwarded.
  [[nodiscard]] const std::vector<std::string>& notes() const noexcept { return notes_; }

 private:
  void configure_device(Netlink& netlink, const TunDevice& device, const HostNetworkSettings& settings);
  void delete_strange_addresses(Netlink& netlink, unsigned link);
  void without_ipv6(const HostNetworkSettings& settings, const std::string& reason);
  void turn_forwarding_on(Netlink& netlink, const HostNetworkSettings& settings);

  std::vector<std::string> notes_;
  TunnelPrefixes prefixes_;
  std::unique_ptr<NatTable> nat_;
};

}  // namespace gatehouse::packet_tunnel
