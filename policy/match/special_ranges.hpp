// The address ranges that no row has to name: what is never reachable through the gateway, what only an explicit
// permit opens, and the IPv6 forms that hide an IPv4 address. Constants; thread-safe.
#pragma once

#include "policy/match/address_bits.hpp"

#include <span>
#include <string>
#include <string_view>

namespace gatehouse::policy {

enum class RangeKind : std::uint8_t {
  loopback,     ///< hard, lifted by allow_local_destinations
  unspecified,  ///< hard, as all up to `reserved`
  link_local,
  metadata,
  multicast,
  broadcast,
  reserved,
  bogon,  ///< private, shared, documentation, benchmark, or not given out
};

struct SpecialRange {
  PrefixBits prefix;
  RangeKind kind;
  std::string_view name;  ///< "private use (RFC 1918)"
  [[nodiscard]] bool is_bogon() const noexcept { return kind == RangeKind::bogon; }
  /// "10.0.0.0/8, private use (RFC 1918)"
  [[nodiscard]] std::string to_string() const;
};

/// All of them, in the order in which they decide.
[[nodiscard]] std::span<const SpecialRange> special_ranges() noexcept;

/// The range that decides about `address`, the hard denies first; nullptr for a public address.
[[nodiscard]] const SpecialRange* special_range(const AddressBits& address) noexcept;

/// The bogon range that `prefix` lies wholly inside of, or nullptr.
[[nodiscard]] const SpecialRange* bogon_around(const PrefixBits& prefix) noexcept;

/// An address as policy judges it (step 0).
struct Canonical {
  IpAddress address;                   ///< the IPv4 address inside, where there is one
  const SpecialRange* form = nullptr;  ///< the IPv6 form that was unwrapped or refused
  bool refused = false;                ///< Teredo, 64:ff9b:1::/48: where it leads cannot be read from it
};

/// Unwraps ::ffff:0:0/96, ::/96 (but not :: and ::1), 64:ff9b::/96 and 2002::/16.
[[nodiscard]] Canonical canonical_address(const IpAddress& address) noexcept;

}  // namespace gatehouse::policy
