// What the kernel's connection tracking remembers of a client's address: forgotten before somebody else gets it.
#pragma once

#include "plugins/packet-tunnel/common/netlink_socket.hpp"

#include <gatehouse/base/address.hpp>

namespace gatehouse::packet_tunnel {

/// One a lane, on its thread: nothing waits, no table is copied. Needs CAP_NET_ADMIN.
class Conntrack {
 public:
  /// @throws HostError  without nf_conntrack in the kernel
  Conntrack();

  /// Deletes the entries whose original source is `client`, of whatever it talked to. One request, by which the kernel
  /// walks its table once (Linux 6.11; source: net/netfilter/nf_conntrack_netlink.c, ctnetlink_flush_conntrack); on
  /// earlier ones, one filtered dump and a request for each entry that it has found (Linux 5.8).
  /// @return EPERM: CAP_NET_ADMIN is missing; EOPNOTSUPP, EINVAL: this kernel can do neither
  [[nodiscard]] Result<void> forget(const IpAddress& client);

  /// Does this kernel do it by one request? As far as forget() has found out; true before.
  [[nodiscard]] bool is_filtered_by_kernel() const noexcept { return filtered_delete_; }

 private:
  [[nodiscard]] Result<void> forget_one_by_one(const IpAddress& client);

  NetlinkSocket socket_;
  bool filtered_delete_ = true;
};

}  // namespace gatehouse::packet_tunnel
