#include "policy/match/nat64_prefixes.hpp"

#include <algorithm>
#include <array>

namespace gatehouse::policy {
namespace {

constexpr std::uint64_t kOctet8 = 0xff00'0000'0000'0000;  // of the lower half: bits 64 to 71

/// The IPv4 address inside (RFC 6052, 2.2). What stands in bits 64 to 71 and in the suffix is ignored, as translators
/// may do.
IpAddress embedded(const AddressBits& bits, unsigned length) noexcept {
  if (length == 96) return IpAddress::v4(static_cast<std::uint32_t>(bits.low));
  const std::uint64_t above = length == 64 ? 0 : bits.high << length;  // what the upper half has of it
  const std::uint64_t below = bits.low << 8 >> (64 - length);          // the rest follows bit 71
  return IpAddress::v4(static_cast<std::uint32_t>((above | below) >> 32));
}

}  // namespace

bool is_nat64_prefix(const Prefix& prefix) noexcept {
  constexpr std::array kLengths{32u, 40u, 48u, 56u, 64u, 96u};
  if (!prefix.address().is_v6()) return false;
  if (std::find(kLengths.begin(), kLengths.end(), prefix.length()) == kLengths.end()) return false;
  const PrefixBits bits(prefix);
  if ((bits.base.low & kOctet8) != 0) return false;
  const auto meets = [&](const PrefixBits& other) { return other.contains(bits) || bits.contains(other); };
  const auto is_other_form = [&](const char* form) { return meets(PrefixBits(Prefix::parse(form).value())); };
  if (is_other_form("::/80") || is_other_form("2001::/32") || is_other_form("2002::/16")) return false;
  const auto ranges = special_ranges();
  return std::none_of(ranges.begin(), ranges.end(),
                      [&](const SpecialRange& range) { return !range.is_bogon() && meets(range.prefix); });
}

Nat64Prefixes::Nat64Prefixes(const std::vector<Prefix>& prefixes) {
  for (const Prefix& prefix : prefixes)
    ranges_.push_back({PrefixBits(prefix), RangeKind::reserved, "NAT64 of this network (RFC 6052)"});
  std::stable_sort(ranges_.begin(), ranges_.end(),
                   [](const SpecialRange& a, const SpecialRange& b) { return a.prefix.length > b.prefix.length; });
}

const SpecialRange* Nat64Prefixes::find(const AddressBits& address) const noexcept {
  for (const SpecialRange& range : ranges_)
    if (range.prefix.contains(address)) return &range;
  return nullptr;
}

bool Nat64Prefixes::hold(const PrefixBits& prefix) const noexcept {
  return std::any_of(ranges_.begin(), ranges_.end(),
                     [&](const SpecialRange& range) { return range.prefix.contains(prefix); });
}

Canonical canonical_address(const IpAddress& address, const Nat64Prefixes& own) noexcept {
  if (address.is_v6()) {
    const AddressBits bits(address);
    if (const SpecialRange* const form = own.find(bits)) return {embedded(bits, form->prefix.length), form};
  }
  return canonical_address(address);
}

}  // namespace gatehouse::policy
