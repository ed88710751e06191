// Stages: queue() puts datagrams into runs -> flush() finishes each run's message -> sendmmsg -> what is refused is
// skipped, or goes singly.
#include <gatehouse/net/udp_batch_sender.hpp>

#include <netinet/in.h>
#include <netinet/udp.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103  // linux/udp.h, since 4.18
#endif

namespace gatehouse {
namespace {

/// Appends a control message to those that `message` has.
template <class T>
void add_control(msghdr& message, int level, int type, const T& content) noexcept {
  cmsghdr header{};
  header.cmsg_level = level;
  header.cmsg_type = type;
  header.cmsg_len = CMSG_LEN(sizeof content);
  std::byte* const at = static_cast<std::byte*>(message.msg_control) + message.msg_controllen;
  std::memcpy(at, &header, sizeof header);
  std::memcpy(at + CMSG_LEN(0), &content, sizeof content);
  message.msg_controllen += CMSG_SPACE(sizeof content);
}

/// The source address. No interface: setting it would force the link, where routing may be asymmetric.
void add_local(msghdr& message, const Datagram& from) noexcept {
  if (from.local.is_v4()) {
    in_pktinfo info{};
    info.ipi_spec_dst.s_addr = htonl(from.local.to_v4());
    add_control(message, IPPROTO_IP, IP_PKTINFO, info);
  } else if (from.local.is_v6()) {
    in6_pktinfo info{};
    std::memcpy(info.ipi6_addr.s6_addr, from.local.storage().data(), sizeof info.ipi6_addr.s6_addr);
    if (from.remote.address.is_link_local()) info.ipi6_ifindex = from.link;
    add_control(message, IPPROTO_IPV6, IPV6_PKTINFO, info);
  }
}

bool is_full(int error) noexcept { return error == EAGAIN || error == EWOULDBLOCK; }

}  // namespace

UdpBatchSender::UdpBatchSender(int fd, Gso gso, BatchCounters& counters) noexcept
    : fd_(fd),
      counters_(counters),
      most_segments_(gso == Gso::off                ? 1
                     : gso == Gso::never_equal_tail ? kMostSegments - 1
                                                    : kMostSegments),
      never_equal_(gso == Gso::never_equal_tail) {}

void UdpBatchSender::queue(const Datagram& datagram) noexcept {
  MutableBytes rest = datagram.payload;
  const std::size_t segment = datagram.segment;
  if (segment == 0 || rest.size() <= segment) return add(datagram, rest, rest.size());
  const std::size_t most = std::max<std::size_t>(std::min(most_segments_, kMostBytes / segment), 1) * segment;
  for (; !rest.empty(); rest = rest.subspan(std::min(most, rest.size())))
    add(datagram, rest.first(std::min(most, rest.size())), segment);
}

/// One datagram, or as many of `segment` bytes as a message may have.
void UdpBatchSender::add(const Datagram& to, MutableBytes payload, std::size_t segment) noexcept {
  segment = std::min(segment, payload.size());
  const std::size_t segments = segment == 0 ? 1 : (payload.size() + segment - 1) / segment;
  std::size_t slot = slot_of(to);
  if (!is_used(slot) || !takes(youngest_[slot], payload.size(), segment, segments)) {
    if (count_ == kMessages) {
      flush();
      slot = slot_of(to);
    }
    begin_run(to, slot, segment);
  }
  const std::size_t youngest = youngest_[slot];
  Run& run = runs_[youngest];
  msghdr& message = messages_[youngest].msg_hdr;
  parts_[youngest][message.msg_iovlen++] = {payload.data(), payload.size()};
  run.bytes += payload.size();
  run.segments += segments;
  run.is_closed = run.segment == 0 || payload.size() % run.segment != 0;
}

bool UdpBatchSender::is_used(std::size_t slot) const noexcept {
  return youngest_[slot] < count_ && runs_[youngest_[slot]].slot == slot;
}

/// Where the destination's youngest run stands, or is to stand.
std::size_t UdpBatchSender::slot_of(const Datagram& to) const noexcept {
  std::size_t slot = (hash_value(to.remote) ^ hash_value(to.local)) % kSlots;
  for (; is_used(slot); slot = (slot + 1) % kSlots) {
    const Run& run = runs_[youngest_[slot]];
    if (run.remote == to.remote && run.local == to.local) break;
  }
  return slot;
}

bool UdpBatchSender::takes(std::size_t at, std::size_t bytes, std::size_t segment,
                           std::size_t segments) const noexcept {
  const Run& run = runs_[at];
  if (run.is_closed || bytes == 0) return false;
  if (segment != run.segment && (segments > 1 || segment > run.segment)) return false;
  return run.segments + segments <= most_segments_ && run.bytes + bytes <= kMostBytes;
}

void UdpBatchSender::begin_run(const Datagram& to, std::size_t slot, std::size_t segment) noexcept {
  youngest_[slot] = static_cast<std::uint8_t>(count_);
  Run& run = runs_[count_];
  run = {};
  run.slot = slot;
  run.remote = to.remote;
  run.local = to.local;
  run.segment = segment;
  msghdr& message = messages_[count_].msg_hdr;
  message = {};
  message.msg_name = &names_[count_];
  message.msg_namelen = to.remote.to_sockaddr(names_[count_]);
  message.msg_iov = parts_[count_].data();
  message.msg_control = controls_[count_].bytes;
  add_local(message, to);
  run.local_control = message.msg_controllen;
  ++count_;
}

/// Says how a run is to be cut, or that it goes singly.
void UdpBatchSender::finish(std::size_t at) noexcept {
  Run& run = runs_[at];
  if (run.segments < 2) return;
  msghdr& message = messages_[at].msg_hdr;
  if (never_equal_ && run.bytes % run.segment == 0) {
    run.goes_singly = run.segments < kFewest || run.segment == 1;
    if (run.goes_singly) return;
    parts_[at][message.msg_iovlen++] = {&tail_, 1};
  }
  add_control(message, IPPROTO_UDP, UDP_SEGMENT, static_cast<std::uint16_t>(run.segment));
}

/// How many messages from this one on go as they are.
std::size_t UdpBatchSender::until_single(std::size_t run) const noexcept {
  std::size_t end = run;
  while (end < count_ && !runs_[end].goes_singly) ++end;
  return end - run;
}

void UdpBatchSender::flush() noexcept {
  for (std::size_t i = 0; i < count_; ++i) finish(i);
  for (std::size_t at = 0; at < count_;) {
    if (runs_[at].goes_singly) {
      send_singly(at++);
      continue;
    }
    ++counters_.send_calls;
    const int sent = sendmmsg(fd_, &messages_[at], static_cast<unsigned>(until_single(at)), MSG_NOSIGNAL);
    if (sent <= 0) {
      const int error = errno;
      if (is_full(error)) {
        for (; at < count_; ++at) counters_.full += runs_[at].segments;
        break;
      }
      refuse(at++, error);
    }
    for (int i = 0; i < sent; ++i) counters_.datagrams_sent += runs_[at++].segments;
    if (sent > 0) counters_.messages_sent += static_cast<std::size_t>(sent);
  }
  count_ = 0;
}

/// The kernel does not take this message, the others may go: its address or route may be gone. If it is several
/// datagrams, it may be that they cannot go as one: EIO where there are no checksums by the card or with IPsec
/// (kernel udp_send_skb()), EINVAL or EMSGSIZE where they are longer than the path's MTU, and the kernel would cut each
/// into fragments.
void UdpBatchSender::refuse(std::size_t at, int error) noexcept {
  const Run& run = runs_[at];
  if (run.segments > 1 && (error == EIO || error == EINVAL || error == EMSGSIZE)) {
    if (error == EIO) {
      most_segments_ = 1;
      counters_.gso_switched_off = 1;
    }
    send_singly(at);
  } else {
    count_refused(error, run.segments);
  }
}

/// Each datagram of a run as a message of its own, until one is refused: they are alike.
void UdpBatchSender::send_singly(std::size_t at) noexcept {
  const Run& run = runs_[at];
  msghdr like = messages_[at].msg_hdr;
  like.msg_iovlen = 1;
  like.msg_controllen = run.local_control;
  std::size_t part = 0, from = 0;
  for (std::size_t i = 0; i < run.segments; ++i) {
    const iovec& whole = parts_[at][part];
    const std::size_t size = std::min(run.segment, whole.iov_len - from);
    single_parts_[i] = {static_cast<std::byte*>(whole.iov_base) + from, size};
    singles_[i].msg_hdr = like;
    singles_[i].msg_hdr.msg_iov = &single_parts_[i];
    if ((from += size) == whole.iov_len) ++part, from = 0;
  }
  for (std::size_t done = 0; done < run.segments;) {
    ++counters_.send_calls;
    const int sent = sendmmsg(fd_, &singles_[done], static_cast<unsigned>(run.segments - done), MSG_NOSIGNAL);
    if (sent <= 0) return count_refused(errno, run.segments - done);
    done += static_cast<std::size_t>(sent);
    counters_.messages_sent += static_cast<std::size_t>(sent);
    counters_.datagrams_sent += static_cast<std::size_t>(sent);
  }
}

void UdpBatchSender::count_refused(int error, std::size_t datagrams) noexcept {
  std::uint64_t* counter = &counters_.refused_otherwise;
  switch (error) {
    case EAGAIN: counter = &counters_.full; break;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN: counter = &counters_.unreachable; break;
    case EINVAL:
    case EAFNOSUPPORT:
    case EADDRNOTAVAIL: counter = &counters_.invalid; break;
    case EMSGSIZE: counter = &counters_.too_long; break;
    case EPERM:
    case EACCES: counter = &counters_.forbidden; break;
    default: break;
  }
  *counter += datagrams;
}

}  // namespace gatehouse
