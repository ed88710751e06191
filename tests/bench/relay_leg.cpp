#include "tests/bench/relay_leg.hpp"

#include <gatehouse/base/address.hpp>
#include <gatehouse/base/endian.hpp>

#include <boost/system/system_error.hpp>

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

namespace gatehouse::bench {
namespace {

using geneve_relay::kGeneveHeaderSize;
using geneve_relay::kLargestHandshake;
using geneve_relay::PeerEvent;

constexpr int kSocketBuffer = 8 << 20;
constexpr std::size_t kMostOfSend = 65000;  // bytes by one UDP_SEGMENT send
// pair 4 | trial 4 | sequence 8 | time 8
constexpr std::size_t kTrialAt = 4, kSequenceAt = 8, kTimeAt = 16, kStampSize = 24;
static_assert(kGeneveHeaderSize + kStampSize <= kLeastRelaySize);

struct alignas(cmsghdr) SegmentControl {
  char bytes[CMSG_SPACE(sizeof(std::uint16_t))];
};

void set_segment(msghdr& header, SegmentControl& control, std::size_t size) {
  header.msg_control = control.bytes;
  header.msg_controllen = sizeof control.bytes;
  cmsghdr* const one = CMSG_FIRSTHDR(&header);
  one->cmsg_level = SOL_UDP;
  one->cmsg_type = UDP_SEGMENT;
  one->cmsg_len = CMSG_LEN(sizeof(std::uint16_t));
  const auto segment = static_cast<std::uint16_t>(size);
  std::memcpy(CMSG_DATA(one), &segment, sizeof segment);
}

}  // namespace

RelayLeg::RelayLeg(const geneve_relay::RelayPeer& peer, const Endpoint& relay, bool is_coalesced)
    : fd_(::socket(relay.address.is_v6() ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)),
      peer_(peer) {
  sockaddr_storage address{};
  const unsigned size = relay.to_sockaddr(address);
  if (!fd_ || ::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0)
    throw boost::system::system_error(last_system_error(), "make a socket to " + relay.to_string());
  for (const int option : {SO_RCVBUF, SO_SNDBUF, SO_RCVBUFFORCE, SO_SNDBUFFORCE})
    ::setsockopt(fd_.get(), SOL_SOCKET, option, &kSocketBuffer, sizeof kSocketBuffer);
  const int on = 1;
  if (is_coalesced) ::setsockopt(fd_.get(), SOL_UDP, UDP_GRO, &on, sizeof on);
}

void RelayLeg::ask() {
  if (!is_asked_) peer_.begin();
  is_asked_ = true;
  std::array<std::byte, kLargestHandshake> out;
  ::send(fd_.get(), out.data(), peer_.write_bind(out), 0);
}

bool RelayLeg::take_control(Bytes datagram) {
  std::array<std::byte, kLargestHandshake> out;
  const auto event = peer_.take(datagram, out);
  if (!event) return event.error() == Errc::wrong_state;  // one of an earlier handshake
  if (event->kind == PeerEvent::Kind::answer) {
    ::send(fd_.get(), out.data(), event->size, 0);
    state = State::answered;
  }
  return true;
}

RelaySender::RelaySender(const RelayShape& shape)
    : shape_(shape),
      segments_(shape.is_coalesced ? std::clamp<std::size_t>(kMostOfSend / shape.size, 1, kMostBurst) : 1),
      buffer_(shape.burst * shape.size) {
  for (std::size_t i = 0; i < buffer_.size(); ++i) buffer_[i] = static_cast<std::byte>(i % shape.size * 7);
}

void RelaySender::write(const RelayLeg& from, const RelayStamp& stamp, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const MutableBytes packet = MutableBytes(buffer_).subspan(i * shape_.size, shape_.size);
    from.peer_.write_data_header(packet);
    const MutableBytes payload = packet.subspan(kGeneveHeaderSize);
    store_big(payload, stamp.pair);
    store_big(payload.subspan(kTrialAt), stamp.trial);
    store_big(payload.subspan(kSequenceAt), from.next_ + i);
    store_big(payload.subspan(kTimeAt), stamp.time_ns);
  }
}

std::size_t RelaySender::send(RelayLeg& from, RelayStamp stamp, std::size_t count) {
  write(from, stamp, count);
  std::array<mmsghdr, kMostBurst> messages{};
  std::array<iovec, kMostBurst> parts;
  std::array<SegmentControl, kMostBurst> controls;
  unsigned sends = 0;
  for (std::size_t i = 0; i < count; i += segments_, ++sends) {
    const std::size_t here = std::min(segments_, count - i);
    parts[sends] = {buffer_.data() + i * shape_.size, here * shape_.size};
    msghdr& header = messages[sends].msg_hdr;
    header.msg_iov = &parts[sends];
    header.msg_iovlen = 1;
    if (here > 1) set_segment(header, controls[sends], shape_.size);
  }
  const int done = ::sendmmsg(from.fd(), messages.data(), sends, 0);
  const std::size_t sent = done <= 0 ? 0 : std::min(count, static_cast<std::size_t>(done) * segments_);
  from.next_ += sent;
  return sent;
}

std::optional<RelayStamp> read_stamp(Bytes payload) noexcept {
  if (payload.size() < kStampSize) return std::nullopt;
  return RelayStamp{load_big<std::uint32_t>(payload), load_big<std::uint32_t>(payload.subspan(kTrialAt)),
                    load_big<std::uint64_t>(payload.subspan(kSequenceAt)),
                    load_big<std::uint64_t>(payload.subspan(kTimeAt))};
}

}  // namespace gatehouse::bench
