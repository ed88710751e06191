// What the kernel knows of links, addresses, routes and rules, as values.
#pragma once

#include <gatehouse/base/prefix.hpp>

#include <linux/rtnetlink.h>

#include <cstdint>
#include <optional>
#include <string>

namespace gatehouse::packet_tunnel {

/// A network interface.
struct Link {
  unsigned index = 0;
  std::string name{};
  unsigned mtu = 0;           ///< bytes
  unsigned queue_length = 0;  ///< packets (txqueuelen)
  bool up = false;

  bool operator==(const Link&) const = default;
};

/// An address of a link, and how long the prefix is that stands on that link with it.
struct LinkAddress {
  unsigned link = 0;
  IpAddress address{};
  unsigned length = 0;

  [[nodiscard]] Prefix prefix() const noexcept { return {address, length}; }
  bool operator==(const LinkAddress&) const = default;
};

/// A route of any table. Routes that differ in anything but `protocol` and `source` are different routes.
struct Route {
  Prefix to{};                      ///< 0.0.0.0/0 and ::/0 for the default
  std::uint8_t kind = RTN_UNICAST;  ///< RTN_UNICAST, RTN_LOCAL, RTN_UNREACHABLE, RTN_THROW, ...
  unsigned link = 0;                ///< 0: none (unreachable, ...), or several ways
  IpAddress via{};                  ///< none: on the link itself
  IpAddress source{};               ///< what this host's own packets get; may be none
  std::uint32_t metric = 0;         ///< IPv6: 0 is what the kernel takes for 1024
  std::uint32_t table = RT_TABLE_MAIN;
  std::uint8_t protocol = RTPROT_STATIC;  ///< who made it

  bool operator==(const Route&) const = default;
};

/// "10.1.0.0/16 via 192.0.2.1", "unreachable 2001:db8::/32 in table 7"; the link by its number.
[[nodiscard]] std::string to_text(const Route& route);

/// A rule that chooses a table (ip rule).
struct RoutingRule {
  Family family = Family::v4;
  std::uint32_t priority = 0;
  std::uint32_t table = RT_TABLE_MAIN;
  std::optional<std::uint32_t> mark{};   ///< only packets with this mark
  std::uint32_t mark_mask = 0xffffffff;  ///< of the bits in here
  bool invert = false;                   ///< those that do not match
  std::optional<Prefix> from{}, to{};
  /// Routes of `table` with prefixes no longer than this are passed over: 0 for "all but the default route".
  std::optional<std::uint32_t> suppress_length{};

  bool operator==(const RoutingRule&) const = default;
};

}  // namespace gatehouse::packet_tunnel
