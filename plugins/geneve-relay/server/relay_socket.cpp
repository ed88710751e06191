#include "plugins/geneve-relay/server/relay_socket.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

namespace gatehouse::geneve_relay {
namespace {

/// Addresses that a route of the type `local` delivers here (AnyIP) and no interface has: of IPv4 the kernel sends from
/// them as it is, of IPv6 only then (net/ipv6/datagram.c, ip6_datagram_send_ctl). Without it these are not answered.
void allow_any_ip(int fd) noexcept {
  const int on = 1;
  static_cast<void>(::setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof on));
}

}  // namespace

RelaySocket::RelaySocket(Poller& poller, const Listener& listener, const UdpListenerOptions& options,
                         OnDatagrams on_datagrams)
    : id_(listener.id),
      local_(listener.local),
      udp_(
          poller, listener.fd,
          [this, call = std::move(on_datagrams)](std::span<Datagram> datagrams) { call(*this, datagrams); }, options),
      granted_buffer_(udp_.receive_buffer()) {
  if (local_.address.is_v6()) allow_any_ip(listener.fd);
}

}  // namespace gatehouse::geneve_relay
