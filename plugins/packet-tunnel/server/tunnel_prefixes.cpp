#include "plugins/packet-tunnel/server/tunnel_prefixes.hpp"

#include <gatehouse/base/endian.hpp>

#include <algorithm>
#include <array>
#include <stdexcept>

namespace gatehouse::packet_tunnel {
namespace {

constexpr std::uint32_t kIndexMask = 0xffffff;
constexpr unsigned kWidestV4 = 8, kNarrowestV4 = 28, kLengthV6 = 64;
constexpr unsigned kDefaultHalves = 1;  // 0.0.0.0/1 and 128.0.0.0/1 stand for a default route
/// What stands between an IPv6 prefix and a client's index, as in the reference.
constexpr std::array<std::uint8_t, 5> kInfixV6{0x8c, 0x57, 0x44, 0x34, 0xee};
constexpr std::string_view kAutomaticV4[] = {"10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12"};

bool is_usable(const IpAddress& address) noexcept {
  const bool is_reserved = address.is_v4() && (address.to_v4() >> 28 == 0xf || address.to_v4() >> 24 == 0);
  return !address.is_loopback() && !address.is_unspecified() && !address.is_link_local() && !address.is_multicast() &&
         !is_reserved;
}

bool is_nowhere(std::uint8_t kind) noexcept {
  return kind == RTN_UNREACHABLE || kind == RTN_BLACKHOLE || kind == RTN_PROHIBIT || kind == RTN_THROW;
}

Prefix single(const IpAddress& address) noexcept { return {address, address.bits()}; }

std::string name_of(const std::vector<Link>& links, unsigned index) {
  const auto found = std::ranges::find(links, index, &Link::index);
  return found != links.end() ? found->name : std::to_string(index);
}

[[noreturn]] void refuse(const std::string& sentence) { throw std::invalid_argument(sentence); }

}  // namespace

std::uint32_t index_of(const IpAddress& address) noexcept {
  return (address.is_v4() ? address.to_v4() : static_cast<std::uint32_t>(address.lower64())) & kIndexMask;
}

std::uint32_t TunnelPrefixes::first_index() const noexcept { return index_of(v4_.address()) + 3; }

std::uint32_t TunnelPrefixes::last_index() const noexcept {
  const std::uint32_t size = std::uint32_t{1} << (32 - v4_.length());
  return index_of(v4_.address()) + size - 2;
}

IpAddress TunnelPrefixes::v4_address(std::uint32_t index) const noexcept {
  return IpAddress::v4((v4_.address().to_v4() & ~kIndexMask) | index);
}

IpAddress TunnelPrefixes::v6_address(std::uint32_t index) const noexcept {
  auto bytes = v6_->address().storage();
  std::ranges::transform(kInfixV6, bytes.begin() + 8, [](std::uint8_t byte) { return std::byte{byte}; });
  for (int at = 15; at > 12; --at, index >>= 8) bytes[static_cast<std::size_t>(at)] = static_cast<std::byte>(index);
  return IpAddress::v6(bytes);
}

IpAddress TunnelPrefixes::device_v4() const noexcept { return IpAddress::v4(v4_.address().to_v4() + 1); }

IpAddress TunnelPrefixes::device_v6() const noexcept {
  auto bytes = v6_->address().storage();
  bytes[15] = std::byte{1};
  return IpAddress::v6(bytes);
}

std::vector<TakenPrefix> taken_prefixes(Netlink& netlink, unsigned own_device, std::span<const Endpoint> name_servers) {
  const auto links = netlink.links();
  std::vector<TakenPrefix> out;
  for (const LinkAddress& address : netlink.addresses())
    if (own_device == 0 || address.link != own_device)
      out.push_back({address.prefix(), "the address " + address.address.to_string() + "/" +
                                           std::to_string(address.length) + " of " + name_of(links, address.link)});
  for (const Endpoint& server : name_servers)
    out.push_back({single(server.address), "the name server " + server.address.to_string()});
  for (const Route& route : netlink.routes()) {
    if (own_device != 0 && route.link == own_device) continue;
    const std::string text =
        "the route " + to_text(route) + (route.link != 0 ? " dev " + name_of(links, route.link) : "");
    if (route.via.family() != Family::none) out.push_back({single(route.via), "the gateway of " + text});
    if (route.to.length() > kDefaultHalves) out.push_back({route.to, text, is_nowhere(route.kind)});
  }
  return out;
}

const TakenPrefix* find_overlap(const Prefix& prefix, std::span<const TakenPrefix> taken) noexcept {
  const auto found = std::ranges::find_if(taken, [&](const TakenPrefix& one) {
    return prefix.contains(one.prefix) || (!one.is_nowhere && one.prefix.contains(prefix));
  });
  return found != taken.end() ? &*found : nullptr;
}

Prefix choose_v4_prefix(const std::string& configured, std::span<const TakenPrefix> taken,
                        const std::optional<Prefix>& present) {
  if (configured == "auto") {
    std::string reasons;
    std::vector<Prefix> candidates;
    for (const std::string_view text : kAutomaticV4) candidates.push_back(*Prefix::parse(text));
    if (present && std::ranges::find(candidates, *present) != candidates.end())
      candidates.insert(candidates.begin(), *present);
    for (const Prefix& candidate : candidates) {
      const TakenPrefix* const overlap = find_overlap(candidate, taken);
      if (overlap == nullptr) return candidate;
      reasons += (reasons.empty() ? "" : ", ") + candidate.to_string() + " (" + overlap->what + ")";
    }
    refuse("ipv4_prefix = \"auto\" finds no prefix that this host does not use: " + reasons +
           "; set ipv4_prefix to one of /8 to /28 that is free");
  }
  const auto prefix = Prefix::parse(configured);
  if (!prefix || !prefix->address().is_v4() || prefix->length() < kWidestV4 || prefix->length() > kNarrowestV4 ||
      !is_usable(prefix->address()))
    refuse("ipv4_prefix = \"" + configured +
           "\" is neither \"auto\" nor an IPv4 prefix of /8 to /28 that hosts may have");
  if (const TakenPrefix* const overlap = find_overlap(*prefix, taken))
    refuse("ipv4_prefix = \"" + configured + "\" overlaps with " + overlap->what +
           " of this host: choose another one, or \"auto\"");
  return *prefix;
}

Prefix choose_v6_prefix(const std::string& configured, std::span<const TakenPrefix> taken) {
  const auto prefix = Prefix::parse(configured);
  if (!prefix || !prefix->address().is_v6() || prefix->length() != kLengthV6 || !is_usable(prefix->address()))
    refuse("ipv6_prefix = \"" + configured + "\" is no IPv6 prefix of /64 that hosts may have");
  if (const TakenPrefix* const overlap = find_overlap(*prefix, taken))
    refuse("ipv6_prefix = \"" + configured + "\" overlaps with " + overlap->what + " of this host: choose another one");
  return *prefix;
}

}  // namespace gatehouse::packet_tunnel
