// The server's options as values. Immutable: a change at run time is a new object.
#pragma once

#include <gatehouse/base/address.hpp>
#include <gatehouse/base/clock.hpp>
#include <gatehouse/plugin/blocked_answer.hpp>
#include <gatehouse/plugin/options.hpp>

#include <optional>
#include <string>
#include <vector>

namespace gatehouse::packet_tunnel {

enum class Ipv6 { automatic, off, required };
struct TunnelSettings {
  /// Throws std::invalid_argument with a sentence for what the schema cannot judge.
  explicit TunnelSettings(const Options& options);
  /// Throws NeedsRestart for what the device, its addresses and the host's rules were made of.
  void check_change(const TunnelSettings& from) const;

  std::string device;
  std::optional<int> device_fd;  ///< one that whoever started the gateway has handed over
  std::size_t mtu = 1500;
  std::string egress_interface;          ///< "" = the default route's
  std::string ipv4_prefix, ipv6_prefix;  ///< as HostNetworkSettings has them
  Ipv6 ipv6 = Ipv6::automatic;
  bool nat = true;  ///< rules of our own
  std::uint32_t fwmark = 0;
  std::uint32_t nat_connections = 0;  ///< of one client in the kernel, of each family; 0 = no bound

  bool system_resolvers = false;    ///< the nameservers of /etc/resolv.conf come first
  std::vector<Endpoint> resolvers;  ///< then these
  BlockedAnswer blocked_answer;
  bool rejects_denied = true;     ///< denied TCP gets a RST, denied UDP an ICMP error
  bool large_frames = true;       ///< super-packets go uncut to and from clients that ask for that
  Nanoseconds session_idle{};     ///< how long a session waits for its client, where no traffic rule says
  std::size_t client_buffer = 0;  ///< bytes of packets that wait for one client
};

}  // namespace gatehouse::packet_tunnel
