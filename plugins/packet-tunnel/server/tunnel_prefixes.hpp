// Which addresses the tunnel gives to its clients: prefixes of their own, in which nothing of the host may lie.
#pragma once

#include "plugins/packet-tunnel/common/netlink.hpp"

#include <gatehouse/base/prefix.hpp>

#include <span>
#include <string>
#include <vector>

namespace gatehouse::packet_tunnel {

/// A client's index is the number that the last three bytes of its addresses make, of either family, in whatever
/// prefix: so the kernel steers by it, and packets find their session by it. Values.
class TunnelPrefixes {
 public:
  /// @param v4  /8 to /28
  /// @param v6  a /64, or none
  TunnelPrefixes(const Prefix& v4, const std::optional<Prefix>& v6) noexcept : v4_(v4), v6_(v6) {}

  [[nodiscard]] const Prefix& v4() const noexcept { return v4_; }
  [[nodiscard]] const std::optional<Prefix>& v6() const noexcept { return v6_; }

  /// The indexes that clients may have, both included. Not the prefix's own address, the device's, the one after it
  /// (the resolver's, 10.0.0.2, where the prefix is 10.0.0.0/8), and the last one.
  [[nodiscard]] std::uint32_t first_index() const noexcept;
  [[nodiscard]] std::uint32_t last_index() const noexcept;

  /// What the client of that index has. `index` is one of the above.
  [[nodiscard]] IpAddress v4_address(std::uint32_t index) const noexcept;
  /// As the reference makes them: PREFIX:8c57:4434:eeAA:BBCC. Only with a v6() prefix.
  [[nodiscard]] IpAddress v6_address(std::uint32_t index) const noexcept;
  /// The device's own: the first of each prefix.
  [[nodiscard]] IpAddress device_v4() const noexcept;
  [[nodiscard]] IpAddress device_v6() const noexcept;

  bool operator==(const TunnelPrefixes&) const = default;

 private:
  Prefix v4_;
  std::optional<Prefix> v6_;
};

/// The last three bytes of an address as a number: what a packet's destination says of its session.
[[nodiscard]] std::uint32_t index_of(const IpAddress& address) noexcept;

/// Addresses that the host uses, and for what: "the route 10.1.0.0/16 via 192.0.2.1", "the address 10.0.0.7 of eth0",
/// "the name server 10.0.0.53".
struct TakenPrefix {
  Prefix prefix;
  std::string what;
  bool is_nowhere = false;  ///< an unreachable or blackhole route: it takes only what it lies in
};

/// Of all interfaces and tables but what belongs to `own_device` (0: none). Default routes take nothing, nor do routes
/// to nowhere (unreachable, blackhole, ...) that are wider than a tunnel's prefix. @throws HostError
[[nodiscard]] std::vector<TakenPrefix> taken_prefixes(Netlink& netlink, unsigned own_device,
                                                      std::span<const Endpoint> name_servers);

/// The first of `taken` that shares an address with `prefix`, or null.
[[nodiscard]] const TakenPrefix* find_overlap(const Prefix& prefix, std::span<const TakenPrefix> taken) noexcept;

/// @param configured  a prefix, or "auto": the first free of 10.0.0.0/8, 100.64.0.0/10 and 172.16.0.0/12, but rather
///                    `present`, so that clients keep their addresses over a restart
/// @param present     what the device that was found has
/// @throws std::invalid_argument  a sentence: no prefix, not /8 to /28, it overlaps (and with what), none is free
[[nodiscard]] Prefix choose_v4_prefix(const std::string& configured, std::span<const TakenPrefix> taken,
                                      const std::optional<Prefix>& present);

inline constexpr std::string_view kDefaultV6Prefix = "fd19:ca83:e6d5:1c44::/64";

/// @throws std::invalid_argument  a sentence: no /64 of IPv6, it overlaps (and with what)
[[nodiscard]] Prefix choose_v6_prefix(const std::string& configured, std::span<const TakenPrefix> taken);

}  // namespace gatehouse::packet_tunnel
