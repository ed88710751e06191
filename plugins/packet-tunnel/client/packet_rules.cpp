#include "plugins/packet-tunnel/client/packet_rules.hpp"

#include <gatehouse/packet/packet_edit.hpp>

#include <algorithm>

namespace gatehouse::packet_tunnel {
namespace {

constexpr std::uint32_t kBroadcast = 0xffffffff;

/// Does it belong to a link, or to many hosts? Nobody waits for the failure of such a packet.
bool is_of_the_link(const IpAddress& to) noexcept {
  return to.is_multicast() || to.is_unspecified() || (to.is_v4() && to.to_v4() == kBroadcast);
}

bool is_equal(Bytes in_packet, const IpAddress& address) noexcept {
  return std::ranges::equal(in_packet, address.bytes());
}

}  // namespace

PacketRules::PacketRules(const std::vector<IpAddress>& dns, const std::vector<DeviceAddress>& own) noexcept {
  for (OfFamily* const family : {&v4_, &v6_}) {
    const Family wanted = family == &v4_ ? Family::v4 : Family::v6;
    const auto is_wanted = [wanted](const IpAddress& address) { return address.family() == wanted; };
    family->gateway = dns_address(wanted);
    if (const auto at = std::ranges::find_if(dns, is_wanted); at != dns.end()) family->dns = *at;
    if (const auto at = std::ranges::find_if(own, is_wanted, &DeviceAddress::address); at != own.end())
      family->own = at->address;
    family->is_rewritten = family->dns.family() == wanted && family->dns != family->gateway;
  }
}

PacketRules::Verdict PacketRules::judge(MutableBytes headers, const IpPacket& facts, bool is_partial) const noexcept {
  const OfFamily& family = of(facts);
  const IpAddress to = facts.destination_address(headers);
  if (is_of_the_link(to)) return Verdict::drop;
  if (family.own.family() != Family::none && !is_equal(facts.source(headers), family.own)) return Verdict::drop;
  if (facts.version == 6 && !has_ipv6_) return Verdict::refuse;
  if (to.is_link_local() || to.is_loopback()) return Verdict::refuse;
  if (facts.is_later_fragment()) return Verdict::pass;
  if (facts.is_icmp()) return facts.is_icmp_echo() || facts.is_icmp_error() ? Verdict::pass : Verdict::drop;
  if (!facts.is_tcp() && !facts.is_udp()) return Verdict::refuse;
  if (family.is_rewritten && facts.destination_port == kDnsPort && to == family.dns)
    rewrite_destination(headers, facts, family.gateway, is_partial);
  return Verdict::pass;
}

bool PacketRules::may_come(Bytes packet, const IpPacket& facts) const noexcept {
  const OfFamily& family = of(facts);
  if (family.own.family() != Family::none && !is_equal(facts.destination(packet), family.own)) return false;
  return facts.is_later_fragment() || !facts.is_icmp() || facts.is_icmp_echo() || facts.is_icmp_error();
}

void PacketRules::rewrite_answer(MutableBytes headers, const IpPacket& facts, bool is_partial) const noexcept {
  const OfFamily& family = of(facts);
  // Nothing but answers comes from there, so that fragments without ports are some, too.
  const bool may_be_answer = facts.is_later_fragment() ? facts.is_udp() : facts.source_port == kDnsPort;
  if (!family.is_rewritten || !may_be_answer) return;
  if (is_equal(facts.source(headers), family.gateway)) rewrite_source(headers, facts, family.dns, is_partial);
}

}  // namespace gatehouse::packet_tunnel
