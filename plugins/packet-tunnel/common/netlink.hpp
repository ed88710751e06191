// rtnetlink: reads and changes links, addresses, routes and rules of the network namespace in which it was made.
#pragma once

#include "plugins/packet-tunnel/common/netlink_socket.hpp"
#include "plugins/packet-tunnel/common/routing.hpp"

#include <vector>

namespace gatehouse::packet_tunnel {

/// For control threads: each call is one request and waits for the kernel, which answers at once. Not thread-safe.
/// Everything throws HostError with a sentence. Changes need CAP_NET_ADMIN, reading needs nothing.
class Netlink {
 public:
  Netlink();

  [[nodiscard]] std::vector<Link> links();
  /// @return none: there is no interface of that name
  [[nodiscard]] std::optional<Link> find_link(const std::string& name);
  void set_up(unsigned link, bool up);
  /// @param mtu  bytes of an IP packet
  void set_mtu(unsigned link, unsigned mtu);
  /// @param packets  for a tun device also what each of its queues holds before packets are dropped
  void set_queue_length(unsigned link, unsigned packets);

  /// Of all interfaces, or of one.
  [[nodiscard]] std::vector<LinkAddress> addresses(unsigned link = 0);
  /// Adds it, or keeps the one that is there. IPv6: without duplicate address detection, usable at once.
  void put_address(const LinkAddress& address);
  /// One that is not there is no error.
  void delete_address(const LinkAddress& address);

  /// Of all tables, local and broadcast ones too; without those that the kernel keeps of single destinations.
  [[nodiscard]] std::vector<Route> routes();
  /// Adds it, or puts it in place of one with the same destination, table and metric.
  void put_route(const Route& route);
  /// One that is not there is no error.
  void delete_route(const Route& route);
  /// The way that a packet of this host to `address` takes: link, via and source are what matters.
  /// @return none: there is no route, or it is an unreachable one
  [[nodiscard]] std::optional<Route> route_to(const IpAddress& address, std::uint32_t mark = 0);

  [[nodiscard]] std::vector<RoutingRule> rules();
  /// One that is there already is no error.
  void put_rule(const RoutingRule& rule);
  /// One that is not there is no error.
  void delete_rule(const RoutingRule& rule);

 private:
  void change(NetlinkMessage& message, const std::string& what, int tolerated = 0);
  void set_link(unsigned link, const std::string& what, std::uint16_t attribute, std::uint32_t value);

  NetlinkSocket socket_;
};

}  // namespace gatehouse::packet_tunnel
