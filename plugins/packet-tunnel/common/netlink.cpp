#include "plugins/packet-tunnel/common/netlink.hpp"

#include "plugins/packet-tunnel/common/host_error.hpp"

#include <linux/fib_rules.h>
#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace gatehouse::packet_tunnel {
namespace {

constexpr int kTries = 10;  // of a dump that changes while it is read
constexpr Family kFamilies[] = {Family::v4, Family::v6};

std::uint8_t number_of(Family family) noexcept { return family == Family::v4 ? AF_INET : AF_INET6; }
unsigned bits_of(std::uint8_t family) noexcept { return family == AF_INET ? 32 : 128; }

IpAddress zero(std::uint8_t family) noexcept {
  constexpr std::byte kZero[16] = {};
  return family == AF_INET ? IpAddress::v4(Bytes(kZero).first(4)) : IpAddress::v6(kZero);
}

std::string quoted_link(unsigned link) {
  char name[IF_NAMESIZE] = {};
  return ::if_indextoname(link, name) != nullptr ? name : "interface " + std::to_string(link);
}

/// All that a dump request answers with; `Header` precedes the attributes of each message.
template <class Header, class Each>
void dump(NetlinkSocket& socket, std::uint16_t type, const Header& header, const std::string& what, Each each) {
  for (int tries = 0; tries < kTries; ++tries) {
    NetlinkMessage request(type, NLM_F_DUMP);
    request.put_header(header);
    std::vector<std::pair<Header, std::vector<std::byte>>> found;
    const auto done = socket.ask(request, [&](std::uint16_t, Bytes body) {
      if (const auto head = take_header<Header>(body)) found.emplace_back(*head, std::vector(body.begin(), body.end()));
    });
    if (!done && done.error().value() == EINTR) continue;
    if (!done && (done.error().value() == EOPNOTSUPP || done.error().value() == EAFNOSUPPORT))
      return;  // no such family
    if (!done) throw HostError(what, done.error(), socket.last_words());
    for (const auto& [head, attributes] : found) each(head, NetlinkAttributes(attributes));
    return;
  }
  throw HostError(what + ": they change faster than they can be read");
}

std::uint8_t scope_of(const Route& route) noexcept {
  const bool is_on_link = route.kind == RTN_UNICAST && route.via.family() == Family::none;
  return is_on_link ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
}

NetlinkMessage route_message(std::uint16_t type, std::uint16_t flags, const Route& route, std::uint8_t scope) {
  NetlinkMessage out(type, flags);
  rtmsg header{};
  header.rtm_family = number_of(route.to.address().family());
  header.rtm_dst_len = static_cast<std::uint8_t>(route.to.length());
  header.rtm_table = static_cast<std::uint8_t>(route.table < 256 ? route.table : RT_TABLE_UNSPEC);
  header.rtm_protocol = type == RTM_DELROUTE ? std::uint8_t{0} : route.protocol;
  header.rtm_scope = scope;
  header.rtm_type = route.kind;
  out.put_header(header);
  if (route.to.length() != 0) out.put_address(RTA_DST, route.to.address());
  out.put_number(RTA_TABLE, route.table);
  if (route.link != 0) out.put_number(RTA_OIF, route.link);
  if (route.metric != 0) out.put_number(RTA_PRIORITY, route.metric);
  if (route.source.family() != Family::none) out.put_address(RTA_PREFSRC, route.source);
  if (route.via.family() == route.to.address().family()) out.put_address(RTA_GATEWAY, route.via);
  return out;
}

/// The gateway of a route of either family; an IPv4 route may have an IPv6 one.
IpAddress gateway(const NetlinkAttributes& attributes) noexcept {
  if (const IpAddress same = attributes.address(RTA_GATEWAY); same.family() != Family::none) return same;
  const auto other = attributes.find(RTA_VIA);
  if (!other || other->size() != sizeof(rtvia) + 16) return {};
  return IpAddress::v6(other->subspan(sizeof(rtvia)));
}

std::optional<Route> read_route(const rtmsg& header, const NetlinkAttributes& attributes) noexcept {
  if (header.rtm_family != AF_INET && header.rtm_family != AF_INET6) return {};
  if ((header.rtm_flags & RTM_F_CLONED) != 0 || header.rtm_dst_len > bits_of(header.rtm_family)) return {};
  Route out;
  const IpAddress to = attributes.address(RTA_DST);
  out.to = Prefix(to.family() == Family::none ? zero(header.rtm_family) : to, header.rtm_dst_len);
  out.kind = header.rtm_type;
  out.protocol = header.rtm_protocol;
  out.table = attributes.number(RTA_TABLE).value_or(header.rtm_table);
  out.link = attributes.number(RTA_OIF).value_or(0);
  out.metric = attributes.number(RTA_PRIORITY).value_or(0);
  out.source = attributes.address(RTA_PREFSRC);
  out.via = gateway(attributes);
  return out;
}

NetlinkMessage rule_message(std::uint16_t type, std::uint16_t flags, const RoutingRule& rule) {
  NetlinkMessage out(type, flags);
  fib_rule_hdr header{};
  header.family = number_of(rule.family);
  header.dst_len = static_cast<std::uint8_t>(rule.to ? rule.to->length() : 0);
  header.src_len = static_cast<std::uint8_t>(rule.from ? rule.from->length() : 0);
  header.table = static_cast<std::uint8_t>(rule.table < 256 ? rule.table : RT_TABLE_UNSPEC);
  header.action = FR_ACT_TO_TBL;
  header.flags = rule.invert ? FIB_RULE_INVERT : 0;
  out.put_header(header);
  out.put_number(FRA_PRIORITY, rule.priority);
  out.put_number(FRA_TABLE, rule.table);
  if (rule.mark) {
    out.put_number(FRA_FWMARK, *rule.mark);
    out.put_number(FRA_FWMASK, rule.mark_mask);
  }
  if (rule.from) out.put_address(FRA_SRC, rule.from->address());
  if (rule.to) out.put_address(FRA_DST, rule.to->address());
  if (rule.suppress_length) out.put_number(FRA_SUPPRESS_PREFIXLEN, *rule.suppress_length);
  return out;
}

std::optional<RoutingRule> read_rule(const fib_rule_hdr& header, const NetlinkAttributes& attributes) noexcept {
  if (header.action != FR_ACT_TO_TBL) return {};
  RoutingRule out;
  out.family = header.family == AF_INET ? Family::v4 : Family::v6;
  out.priority = attributes.number(FRA_PRIORITY).value_or(0);
  out.table = attributes.number(FRA_TABLE).value_or(header.table);
  out.invert = (header.flags & FIB_RULE_INVERT) != 0;
  if (const auto mask = attributes.number(FRA_FWMASK)) {
    out.mark = attributes.number(FRA_FWMARK).value_or(0);
    out.mark_mask = *mask;
  }
  if (const IpAddress from = attributes.address(FRA_SRC); from.family() != Family::none)
    out.from = Prefix(from, header.src_len);
  if (const IpAddress to = attributes.address(FRA_DST); to.family() != Family::none)
    out.to = Prefix(to, header.dst_len);
  if (const auto length = attributes.number(FRA_SUPPRESS_PREFIXLEN); length && *length != 0xffffffff)
    out.suppress_length = length;
  return out;
}

std::string rule_text(const RoutingRule& rule) {
  return "routing rule " + std::to_string(rule.priority) + " for table " + std::to_string(rule.table);
}

}  // namespace

Netlink::Netlink() : socket_(NETLINK_ROUTE) {}

void Netlink::change(NetlinkMessage& message, const std::string& what, int tolerated) {
  const auto done = socket_.ask(message);
  if (done || (tolerated != 0 && done.error() == Error(tolerated, boost::system::system_category()))) return;
  throw HostError(what, done.error(), socket_.last_words());
}

std::vector<Link> Netlink::links() {
  std::vector<Link> out;
  dump(socket_, RTM_GETLINK, ifinfomsg{}, "list the network interfaces",
       [&](const ifinfomsg& header, const NetlinkAttributes& attributes) {
         out.push_back({static_cast<unsigned>(header.ifi_index), attributes.text(IFLA_IFNAME),
                        attributes.number(IFLA_MTU).value_or(0), attributes.number(IFLA_TXQLEN).value_or(0),
                        (header.ifi_flags & IFF_UP) != 0});
       });
  return out;
}

std::optional<Link> Netlink::find_link(const std::string& name) {
  for (Link& link : links())
    if (link.name == name) return std::move(link);
  return {};
}

void Netlink::set_up(unsigned link, bool up) {
  NetlinkMessage message(RTM_NEWLINK, 0);
  ifinfomsg header{};
  header.ifi_index = static_cast<int>(link);
  header.ifi_change = IFF_UP;
  header.ifi_flags = up ? IFF_UP : 0;
  message.put_header(header);
  change(message, (up ? "bring up " : "take down ") + quoted_link(link));
}

void Netlink::set_link(unsigned link, const std::string& what, std::uint16_t attribute, std::uint32_t value) {
  NetlinkMessage message(RTM_NEWLINK, 0);
  ifinfomsg header{};
  header.ifi_index = static_cast<int>(link);
  message.put_header(header);
  message.put_number(attribute, value);
  change(message, "set the " + what + " of " + quoted_link(link) + " to " + std::to_string(value));
}

void Netlink::set_mtu(unsigned link, unsigned mtu) { set_link(link, "MTU", IFLA_MTU, mtu); }

void Netlink::set_queue_length(unsigned link, unsigned packets) {
  set_link(link, "queue length", IFLA_TXQLEN, packets);
}

std::vector<LinkAddress> Netlink::addresses(unsigned link) {
  std::vector<LinkAddress> out;
  for (const Family family : kFamilies) {
    ifaddrmsg wanted{};
    wanted.ifa_family = number_of(family);
    dump(socket_, RTM_GETADDR, wanted, "list the addresses of this host",
         [&](const ifaddrmsg& header, const NetlinkAttributes& attributes) {
           // IFA_ADDRESS is the other end's where a link has two ends (RFC 3549; linux/if_addr.h).
           IpAddress address = attributes.address(IFA_LOCAL);
           if (address.family() == Family::none) address = attributes.address(IFA_ADDRESS);
           if (header.ifa_prefixlen > address.bits() || (link != 0 && header.ifa_index != link)) return;
           out.push_back({header.ifa_index, address, header.ifa_prefixlen});
         });
  }
  return out;
}

namespace {

NetlinkMessage address_message(std::uint16_t type, std::uint16_t flags, const LinkAddress& address) {
  NetlinkMessage out(type, flags);
  ifaddrmsg header{};
  header.ifa_family = number_of(address.address.family());
  header.ifa_prefixlen = static_cast<std::uint8_t>(address.length);
  header.ifa_flags = address.address.is_v6() ? IFA_F_NODAD : 0;
  header.ifa_index = address.link;
  out.put_header(header);
  out.put_address(IFA_LOCAL, address.address);
  out.put_address(IFA_ADDRESS, address.address);
  return out;
}

std::string address_text(const LinkAddress& address) {
  return "address " + address.address.to_string() + "/" + std::to_string(address.length);
}

}  // namespace

void Netlink::put_address(const LinkAddress& address) {
  auto message = address_message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, address);
  change(message, "give " + quoted_link(address.link) + " the " + address_text(address), EEXIST);
}

void Netlink::delete_address(const LinkAddress& address) {
  auto message = address_message(RTM_DELADDR, 0, address);
  change(message, "take the " + address_text(address) + " from " + quoted_link(address.link), EADDRNOTAVAIL);
}

std::vector<Route> Netlink::routes() {
  std::vector<Route> out;
  for (const Family family : kFamilies) {
    rtmsg wanted{};
    wanted.rtm_family = number_of(family);
    dump(socket_, RTM_GETROUTE, wanted, "list the routes of this host",
         [&](const rtmsg& header, const NetlinkAttributes& attributes) {
           if (const auto route = read_route(header, attributes)) out.push_back(*route);
         });
  }
  return out;
}

void Netlink::put_route(const Route& route) {
  auto message = route_message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, route, scope_of(route));
  change(message, "add the route " + to_text(route));
}

void Netlink::delete_route(const Route& route) {
  auto message = route_message(RTM_DELROUTE, 0, route, RT_SCOPE_NOWHERE);
  change(message, "delete the route " + to_text(route), ESRCH);
}

std::optional<Route> Netlink::route_to(const IpAddress& address, std::uint32_t mark) {
  NetlinkMessage request(RTM_GETROUTE, 0);
  rtmsg header{};
  header.rtm_family = number_of(address.family());
  header.rtm_dst_len = static_cast<std::uint8_t>(address.bits());
  // IPv6 tells the table unasked, and where requests are checked it refuses this flag (inet6_rtm_valid_getroute_req).
  if (address.is_v4()) header.rtm_flags = RTM_F_LOOKUP_TABLE;
  request.put_header(header);
  request.put_address(RTA_DST, address);
  if (mark != 0) request.put_number(RTA_MARK, mark);
  std::optional<Route> out;
  const auto done = socket_.ask(request, [&](std::uint16_t, Bytes body) {
    auto found = take_header<rtmsg>(body);
    if (!found) return;
    found->rtm_flags &= ~static_cast<unsigned>(RTM_F_CLONED);  // that is how one looked up is called
    out = read_route(*found, NetlinkAttributes(body));
  });
  if (!done) {
    const int code = done.error().value();
    if (code == ENETUNREACH || code == EHOSTUNREACH || code == EACCES || code == EINVAL || code == EAGAIN) return {};
    throw HostError("look up the route to " + address.to_string(), done.error(), socket_.last_words());
  }
  if (out && out->kind != RTN_UNICAST && out->kind != RTN_LOCAL) return {};
  return out;
}

std::vector<RoutingRule> Netlink::rules() {
  std::vector<RoutingRule> out;
  for (const Family family : kFamilies) {
    fib_rule_hdr wanted{};
    wanted.family = number_of(family);
    dump(socket_, RTM_GETRULE, wanted, "list the routing rules of this host",
         [&](const fib_rule_hdr& header, const NetlinkAttributes& attributes) {
           if (const auto rule = read_rule(header, attributes)) out.push_back(*rule);
         });
  }
  return out;
}

void Netlink::put_rule(const RoutingRule& rule) {
  auto message = rule_message(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, rule);
  change(message, "add the " + rule_text(rule), EEXIST);
}

void Netlink::delete_rule(const RoutingRule& rule) {
  auto message = rule_message(RTM_DELRULE, 0, rule);
  change(message, "delete the " + rule_text(rule), ENOENT);
}

}  // namespace gatehouse::packet_tunnel
