// The prefixes behind which this network reaches IPv4 addresses. Built once, then immutable and thread-safe.
#pragma once

#include "policy/match/special_ranges.hpp"

#include <gatehouse/base/prefix.hpp>

#include <vector>

namespace gatehouse::policy {

/// Can `prefix` be one that a translator embeds IPv4 addresses in? IPv6, of 32, 40, 48, 56, 64 or 96 bits, bits 64 to
/// 71 zero (RFC 6052, 2.2), and clear of what has a meaning of its own: loopback, link-local, multicast, IPv4-mapped
/// and -compatible addresses, 6to4, Teredo.
[[nodiscard]] bool is_nat64_prefix(const Prefix& prefix) noexcept;

class Nat64Prefixes {
 public:
  Nat64Prefixes() = default;
  /// @param prefixes  for each of which is_nat64_prefix() holds
  explicit Nat64Prefixes(const std::vector<Prefix>& prefixes);

  /// The longest one that `address` lies in, or nullptr; lives as long as this.
  [[nodiscard]] const SpecialRange* find(const AddressBits& address) const noexcept;
  /// Does one of them hold all of `prefix`?
  [[nodiscard]] bool hold(const PrefixBits& prefix) const noexcept;

 private:
  std::vector<SpecialRange> ranges_;  // the longest first
};

/// As canonical_address(address), and unwraps `own` before all else: also inside 64:ff9b:1::/48.
/// Canonical::form lives as long as `own`.
[[nodiscard]] Canonical canonical_address(const IpAddress& address, const Nat64Prefixes& own) noexcept;

}  // namespace gatehouse::policy
