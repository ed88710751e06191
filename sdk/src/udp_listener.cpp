#include <gatehouse/net/udp_batch_receiver.hpp>
#include <gatehouse/net/udp_batch_sender.hpp>
#include <gatehouse/net/udp_listener.hpp>

#include <boost/system/system_error.hpp>

#include <linux/sock_diag.h>
#include <sys/socket.h>

namespace gatehouse {
namespace {

/// As far as this process may: beyond the system's bound (net.core.rmem_max) with CAP_NET_ADMIN only.
void set_buffer(int fd, int forced, int option, int bytes) noexcept {
  if (bytes == 0 || setsockopt(fd, SOL_SOCKET, forced, &bytes, sizeof bytes) == 0) return;
  setsockopt(fd, SOL_SOCKET, option, &bytes, sizeof bytes);
}

/// The kernel is tried once, however many sockets there are.
Gso proven(Gso wanted) noexcept {
  if (wanted != Gso::automatic) return wanted;
  static const bool works = gso_works();
  return works ? wanted : Gso::off;
}

}  // namespace

UdpListener::UdpListener(Poller& poller, int fd, OnDatagrams on_datagrams, const Options& options)
    : poller_(poller),
      fd_(fd),
      on_datagrams_(std::move(on_datagrams)),
      in_(std::make_unique<UdpBatchReceiver>(fd, options.aggregates, counters_)),
      out_(std::make_unique<UdpBatchSender>(fd, proven(options.gso), counters_)) {
  set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, options.receive_buffer);
  set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, options.send_buffer);
  if (const auto added = poller_.add(fd, EPOLLIN, *this); !added)
    throw boost::system::system_error(added.error(), "watch a UDP listener");
}

UdpListener::~UdpListener() { poller_.remove(fd_, *this); }

void UdpListener::on_ready(std::uint32_t) {
  if (const auto datagrams = in_->receive(); !datagrams.empty()) on_datagrams_(datagrams);
}

void UdpListener::queue(const Datagram& datagram) noexcept { out_->queue(datagram); }

void UdpListener::flush() noexcept { out_->flush(); }

std::size_t UdpListener::send(std::span<const Datagram> datagrams) noexcept {
  flush();
  const std::uint64_t before = counters_.datagrams_sent;
  for (const Datagram& datagram : datagrams) queue(datagram);
  flush();
  return counters_.datagrams_sent - before;
}

bool UdpListener::segments() const noexcept { return out_->segments(); }

/// The kernel counts its own structures, too, and so says twice as much.
int UdpListener::receive_buffer() const noexcept {
  int bytes = 0;
  socklen_t size = sizeof bytes;
  getsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &bytes, &size);
  return bytes / 2;
}

std::uint32_t UdpListener::overflows() const noexcept {
  std::uint32_t numbers[SK_MEMINFO_VARS] = {};
  socklen_t size = sizeof numbers;
  getsockopt(fd_, SOL_SOCKET, SO_MEMINFO, numbers, &size);
  return numbers[SK_MEMINFO_DROPS];
}

}  // namespace gatehouse
