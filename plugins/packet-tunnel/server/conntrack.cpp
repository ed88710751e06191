#include "plugins/packet-tunnel/server/conntrack.hpp"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <sys/socket.h>

#include <cerrno>

namespace gatehouse::packet_tunnel {
namespace {

constexpr std::uint32_t kByOriginalSource = 1;  // CTA_FILTER_FLAG(CTA_IP_SRC), net/netfilter/nf_internals.h

std::uint16_t type_of(unsigned request) noexcept {
  return static_cast<std::uint16_t>(NFNL_SUBSYS_CTNETLINK << 8 | request);
}

nfgenmsg header_for(Family family) noexcept {
  nfgenmsg out{};
  out.nfgen_family = family == Family::v4 ? AF_INET : family == Family::v6 ? AF_INET6 : AF_UNSPEC;
  out.version = NFNETLINK_V0;
  return out;
}

IpAddress original_source(const NetlinkAttributes& entry) noexcept {
  const auto addresses = entry.nested(CTA_TUPLE_ORIG).nested(CTA_TUPLE_IP);
  const IpAddress v4 = addresses.address(CTA_IP_V4_SRC);
  return v4.is_v4() ? v4 : addresses.address(CTA_IP_V6_SRC);
}

/// About all entries whose original source is `client`. A kernel that knows no filters (before 5.8) refuses to delete
/// by it, since the tuple is no whole one.
NetlinkMessage filtered(unsigned request, std::uint16_t flags, const IpAddress& client) {
  NetlinkMessage out(type_of(request), flags);
  out.put_header(header_for(client.family()));
  const auto tuple = out.open(CTA_TUPLE_ORIG);
  const auto addresses = out.open(CTA_TUPLE_IP);
  out.put_address(client.is_v4() ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, client);
  out.close(addresses);
  out.close(tuple);
  const auto filter = out.open(CTA_FILTER);
  out.put_number(CTA_FILTER_ORIG_FLAGS, kByOriginalSource);
  out.close(filter);
  return out;
}

/// For all entries of that family; none: of both.
NetlinkMessage whole_dump(Family family) {
  NetlinkMessage out(type_of(IPCTNL_MSG_CT_GET), NLM_F_DUMP);
  out.put_header(header_for(family));
  return out;
}

NetlinkMessage filtered_dump(const IpAddress& source) { return filtered(IPCTNL_MSG_CT_GET, NLM_F_DUMP, source); }

/// Another address.
IpAddress neighbour(const IpAddress& address) noexcept {
  auto bytes = address.storage();
  bytes[15] ^= std::byte{1};
  return IpAddress::v6(bytes);
}

Conntrack::IsToGo is_from(const IpAddress& client) {
  return [client](const IpAddress& source) { return source == client; };
}

bool is_refusal(Error error) noexcept {
  return error.category() == boost::system::system_category() &&
         (error.value() == EOPNOTSUPP || error.value() == EINVAL);
}

}  // namespace

Conntrack::Conntrack(bool filtered_delete) : socket_(NETLINK_NETFILTER), filtered_delete_(filtered_delete) {}

Conntrack::Way Conntrack::way(Family family) const noexcept {
  if (family == Family::v6 && v6_filter_ == Filter::unknown) return Way::unknown;
  if (family == Family::v6 && v6_filter_ == Filter::wrong) return Way::whole_dump;
  return filtered_delete_ ? Way::one_request : Way::one_by_one;
}

Result<void> Conntrack::forget(const IpAddress& client) {
  if (way(client.family()) == Way::unknown) return forget_and_find_out(client);
  if (way(client.family()) == Way::one_request) {
    auto request = filtered(IPCTNL_MSG_CT_DELETE, 0, client);
    const auto done = socket_.ask(request);
    if (done || !is_refusal(done.error())) return done;
    filtered_delete_ = false;
  }
  const bool is_filtered = way(client.family()) == Way::one_by_one;
  auto found = list(is_filtered ? filtered_dump(client) : whole_dump(client.family()), is_from(client));
  if (!found) return found.error();
  return delete_all(found->deletions);
}

/// Dumps do no harm, whatever they show. What the kernel takes for "from this client" must not be of others; and if
/// that is nothing, what it takes for "from its neighbour" must not be of the client.
Result<void> Conntrack::forget_and_find_out(const IpAddress& client) {
  auto of_client = list(filtered_dump(client), is_from(client));
  if (!of_client) return of_client.error();
  if (of_client->others) v6_filter_ = Filter::wrong;
  if (!of_client->deletions.empty()) v6_filter_ = Filter::right;
  if (v6_filter_ == Filter::unknown) {
    const auto of_neighbour = list(filtered_dump(neighbour(client)), is_from(client));
    if (!of_neighbour) return of_neighbour.error();
    if (of_neighbour->others) v6_filter_ = Filter::right;
    if (!of_neighbour->deletions.empty()) v6_filter_ = Filter::wrong;
  }
  if (v6_filter_ == Filter::wrong) return forget(client);
  return delete_all(of_client->deletions);
}

Result<std::size_t> Conntrack::forget_if(const IsToGo& is_to_go) {
  auto found = list(whole_dump(Family::none), is_to_go);
  if (!found) return found.error();
  if (const auto done = delete_all(found->deletions); !done) return done.error();
  return found->deletions.size();
}

Result<Conntrack::Found> Conntrack::list(NetlinkMessage request, const IsToGo& is_to_go) {
  Found out;
  const auto dumped = socket_.ask(request, [&](std::uint16_t, Bytes body) {
    if (!take_header<nfgenmsg>(body)) return;
    const NetlinkAttributes entry(body);
    const IpAddress source = original_source(entry);
    if (source.family() == Family::none || !is_to_go(source)) {
      out.others = true;
      return;
    }
    NetlinkMessage deletion(type_of(IPCTNL_MSG_CT_DELETE), 0);
    deletion.put_header(header_for(source.family()));
    deletion.put(CTA_TUPLE_ORIG | NLA_F_NESTED, *entry.find(CTA_TUPLE_ORIG));
    if (const auto zone = entry.find(CTA_ZONE)) deletion.put(CTA_ZONE, *zone);
    out.deletions.push_back(std::move(deletion));
  });
  if (!dumped) return dumped.error();
  return out;
}

Result<void> Conntrack::delete_all(std::vector<NetlinkMessage>& deletions) {
  for (NetlinkMessage& deletion : deletions) {
    const auto done = socket_.ask(deletion);
    if (!done && done.error().value() != ENOENT) return done;  // it may have ended by itself
  }
  return boost::system::in_place_value;
}

}  // namespace gatehouse::packet_tunnel
