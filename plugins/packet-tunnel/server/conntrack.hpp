// What the kernel's connection tracking remembers of a client's address: forgotten before somebody else gets it.
#pragma once

#include "plugins/packet-tunnel/common/netlink_socket.hpp"

#include <gatehouse/base/address.hpp>

#include <vector>

namespace gatehouse::packet_tunnel {

/// Needs CAP_NET_ADMIN. Nothing waits, but the kernel walks its whole table in each call, even in the one request of
/// forget(): 33 ms with 100,000 entries (measured), a dump of them 140 ms. So this is for a control thread, at the
/// start by forget_if(); a lane calls forget() only for an address that somebody has had before (used_indexes.hpp). Not
/// thread-safe.
class Conntrack {
 public:
  using IsToGo = std::function<bool(const IpAddress& source)>;

  /// @param filtered_delete  false: as on a kernel that cannot delete by a filter
  /// @throws HostError  without netlink
  explicit Conntrack(bool filtered_delete = true);

  /// Deletes the entries whose original source is `client`, of whatever it talked to.
  ///
  /// IPv4: one request, by which the kernel walks its table once (Linux 6.11; net/netfilter/nf_conntrack_netlink.c,
  /// ctnetlink_flush_conntrack); on earlier ones (5.8), a dump that the kernel filters, and a request for each entry.
  /// IPv6: the same, but only where the kernel is seen to filter right: all from 5.8 to at least 6.18 give, and would
  /// delete, whatever has *another* source (ctnetlink_filter_match_tuple). There, a dump of all IPv6 entries.
  /// @return EPERM: CAP_NET_ADMIN is missing; EOPNOTSUPP, EINVAL: this kernel can do none of this
  [[nodiscard]] Result<void> forget(const IpAddress& client);

  /// Deletes the entries of all original sources that `is_to_go` is true for, by one dump and a request for each entry.
  /// At a start: whatever lies in the tunnel's prefixes and belongs to nobody who is remembered.
  /// @return how many; else as forget()
  [[nodiscard]] Result<std::size_t> forget_if(const IsToGo& is_to_go);

  /// How forget() goes about it on this kernel, as far as it has found out.
  enum class Way {
    one_request,  ///< the kernel deletes by the source
    one_by_one,   ///< it lists what has that source, and we delete that
    whole_dump,   ///< it lists everything of the family
    unknown,      ///< there has been nothing to find out from
  };
  [[nodiscard]] Way way(Family family) const noexcept;

 private:
  struct Found {
    std::vector<NetlinkMessage> deletions;  ///< of what is to go
    bool others = false;                    ///< there was something else
  };
  [[nodiscard]] Result<Found> list(NetlinkMessage request, const IsToGo& is_to_go);
  [[nodiscard]] Result<void> delete_all(std::vector<NetlinkMessage>& deletions);
  [[nodiscard]] Result<void> forget_and_find_out(const IpAddress& client);

  NetlinkSocket socket_;
  bool filtered_delete_;
  enum class Filter { unknown, right, wrong } v6_filter_ = Filter::unknown;
};

}  // namespace gatehouse::packet_tunnel
