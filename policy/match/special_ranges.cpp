#include "policy/match/special_ranges.hpp"

#include <array>

namespace gatehouse::policy {
namespace {

constexpr PrefixBits v4(std::uint64_t a, std::uint64_t b, std::uint64_t c, std::uint64_t d, unsigned length) {
  return {{0, AddressBits::kMapped | a << 24 | b << 16 | c << 8 | d, Family::v4}, length};
}

/// `high` and `low` are the halves of the address.
constexpr PrefixBits v6(std::uint64_t high, std::uint64_t low, unsigned length) {
  return {{high, low, Family::v6}, length};
}

using enum RangeKind;

// First match decides. Sources, read 2026-11-21: the IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890
// and the RFCs named below), the IANA IPv6 address space registry for what is not given out, and the cloud providers'
// documentation for metadata services. What the registries call globally reachable inside 192.0.0.0/24 and 2001::/23
// (anycast of PCP and TURN, drone ids) stays denied: nobody needs a relay for it.
constexpr std::array kRanges = {
    // Hard denies: metadata services, which would hand a client the host's own credentials.
    SpecialRange{v4(169, 254, 169, 254, 32), metadata, "cloud metadata"},
    SpecialRange{v4(169, 254, 170, 2, 32), metadata, "container metadata (AWS ECS)"},
    SpecialRange{v4(168, 63, 129, 16, 32), metadata, "Azure's wire server"},
    SpecialRange{v4(100, 100, 100, 200, 32), metadata, "Alibaba Cloud metadata"},
    SpecialRange{v6(0xfd00'0ec2'0000'0000, 0x254, 128), metadata, "cloud metadata (AWS)"},
    // Hard denies: this host, this link, many hosts at once.
    SpecialRange{v4(0, 0, 0, 0, 8), unspecified, "this network (RFC 791)"},
    SpecialRange{v4(127, 0, 0, 0, 8), loopback, "loopback (RFC 1122)"},
    SpecialRange{v4(169, 254, 0, 0, 16), link_local, "link local (RFC 3927)"},
    SpecialRange{v4(224, 0, 0, 0, 4), multicast, "multicast (RFC 5771)"},
    SpecialRange{v4(255, 255, 255, 255, 32), broadcast, "limited broadcast (RFC 919)"},
    SpecialRange{v4(240, 0, 0, 0, 4), reserved, "reserved (RFC 1112)"},
    SpecialRange{v6(0, 0, 128), unspecified, "unspecified (RFC 4291)"},
    SpecialRange{v6(0, 1, 128), loopback, "loopback (RFC 4291)"},
    SpecialRange{v6(0xfe80'0000'0000'0000, 0, 10), link_local, "link local (RFC 4291)"},
    SpecialRange{v6(0xff00'0000'0000'0000, 0, 8), multicast, "multicast (RFC 4291)"},
    // Bogons, IPv4.
    SpecialRange{v4(10, 0, 0, 0, 8), bogon, "private use (RFC 1918)"},
    SpecialRange{v4(100, 64, 0, 0, 10), bogon, "shared address space (RFC 6598)"},
    SpecialRange{v4(172, 16, 0, 0, 12), bogon, "private use (RFC 1918)"},
    SpecialRange{v4(192, 0, 0, 0, 24), bogon, "protocol assignments (RFC 6890)"},
    SpecialRange{v4(192, 0, 2, 0, 24), bogon, "documentation (RFC 5737)"},
    SpecialRange{v4(192, 88, 99, 0, 24), bogon, "6to4 relay anycast, deprecated (RFC 7526)"},
    SpecialRange{v4(192, 168, 0, 0, 16), bogon, "private use (RFC 1918)"},
    SpecialRange{v4(198, 18, 0, 0, 15), bogon, "benchmarking (RFC 2544)"},
    SpecialRange{v4(198, 51, 100, 0, 24), bogon, "documentation (RFC 5737)"},
    SpecialRange{v4(203, 0, 113, 0, 24), bogon, "documentation (RFC 5737)"},
    // Bogons, IPv6: inside global unicast ...
    SpecialRange{v6(0x2001'0000'0000'0000, 0, 23), bogon, "protocol assignments (RFC 2928)"},
    SpecialRange{v6(0x2001'0db8'0000'0000, 0, 32), bogon, "documentation (RFC 3849)"},
    SpecialRange{v6(0x3fff'0000'0000'0000, 0, 20), bogon, "documentation (RFC 9637)"},
    // ... named outside it ...
    SpecialRange{v6(0x0100'0000'0000'0000, 0, 64), bogon, "discard only (RFC 6666)"},
    SpecialRange{v6(0x0100'0000'0000'0001, 0, 64), bogon, "dummy prefix (RFC 9780)"},
    SpecialRange{v6(0x5f00'0000'0000'0000, 0, 16), bogon, "segment routing (RFC 9602)"},
    SpecialRange{v6(0xfc00'0000'0000'0000, 0, 7), bogon, "unique local (RFC 4193)"},
    SpecialRange{v6(0xfec0'0000'0000'0000, 0, 10), bogon, "site local, deprecated (RFC 3879)"},
    // ... and all the rest outside 2000::/3, which IANA has not given out.
    SpecialRange{v6(0x0000'0000'0000'0000, 0, 3), bogon, "not global unicast (RFC 4291)"},
    SpecialRange{v6(0x4000'0000'0000'0000, 0, 2), bogon, "not global unicast (RFC 4291)"},
    SpecialRange{v6(0x8000'0000'0000'0000, 0, 1), bogon, "not global unicast (RFC 4291)"},
};

/// Per first byte, whether any range of that family begins there: lets most public addresses pass at once.
constexpr std::array<bool, 256> first_bytes(Family family) {
  std::array<bool, 256> out{};
  for (const SpecialRange& range : kRanges) {
    if (range.prefix.base.family != family) continue;
    const unsigned first = range.prefix.base.first_byte();
    const unsigned count = range.prefix.length >= 8 ? 1 : 1u << (8 - range.prefix.length);
    for (unsigned i = 0; i < count; ++i) out[first + i] = true;
  }
  return out;
}

constexpr std::array<bool, 256> kFirstV4 = first_bytes(Family::v4);
constexpr std::array<bool, 256> kFirstV6 = first_bytes(Family::v6);

// IPv6 forms of IPv4 addresses. Refused: what Teredo (RFC 4380) and the local-use NAT64 prefix (RFC 8215) lead to is
// decided elsewhere, so that no judgement about it would hold.
constexpr SpecialRange kMapped{v6(0, 0xffff'0000'0000, 96), reserved, "IPv4-mapped (RFC 4291)"};
constexpr SpecialRange kCompatible{v6(0, 0, 96), reserved, "IPv4-compatible (RFC 4291)"};
constexpr SpecialRange kNat64{v6(0x0064'ff9b'0000'0000, 0, 96), reserved, "NAT64 (RFC 6052)"};
constexpr SpecialRange k6to4{v6(0x2002'0000'0000'0000, 0, 16), reserved, "6to4 (RFC 3056)"};
constexpr SpecialRange kTeredo{v6(0x2001'0000'0000'0000, 0, 32), reserved, "Teredo (RFC 4380)"};
constexpr SpecialRange kLocalNat64{v6(0x0064'ff9b'0001'0000, 0, 48), reserved, "local-use NAT64 (RFC 8215)"};

}  // namespace

std::string SpecialRange::to_string() const {
  return prefix.base.to_address().to_string() + '/' + std::to_string(prefix.length) + ", " + std::string(name);
}

std::span<const SpecialRange> special_ranges() noexcept { return kRanges; }

const SpecialRange* special_range(const AddressBits& address) noexcept {
  const auto& first = address.family == Family::v4 ? kFirstV4 : kFirstV6;
  if (!first[address.first_byte()]) return nullptr;
  for (const SpecialRange& range : kRanges)
    if (range.prefix.contains(address)) return &range;
  return nullptr;
}

const SpecialRange* bogon_around(const PrefixBits& prefix) noexcept {
  for (const SpecialRange& range : kRanges)
    if (range.is_bogon() && range.prefix.contains(prefix)) return &range;
  return nullptr;
}

Canonical canonical_address(const IpAddress& address) noexcept {
  if (!address.is_v6()) return {address};
  const AddressBits bits(address);
  const auto inner = [](std::uint64_t value) { return IpAddress::v4(static_cast<std::uint32_t>(value)); };
  if (bits.high == 0) {
    if (kMapped.prefix.contains(bits)) return {inner(bits.low), &kMapped};
    if (kCompatible.prefix.contains(bits) && bits.low > 1) return {inner(bits.low), &kCompatible};
    return {address};
  }
  if (k6to4.prefix.contains(bits)) return {inner(bits.high >> 16), &k6to4};
  if (kNat64.prefix.contains(bits)) return {inner(bits.low), &kNat64};
  if (kTeredo.prefix.contains(bits)) return {address, &kTeredo, true};
  if (kLocalNat64.prefix.contains(bits)) return {address, &kLocalNat64, true};
  return {address};
}

}  // namespace gatehouse::policy
