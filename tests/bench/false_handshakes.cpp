#include "tests/bench/false_handshakes.hpp"

#include "plugins/geneve-relay/client/relay_peer.hpp"

#include <gatehouse/base/address.hpp>
#include <gatehouse/base/endian.hpp>

#include <boost/system/system_error.hpp>

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace gatehouse::bench {
namespace {

using namespace geneve_relay;

constexpr std::size_t kSize = kLargestHandshake;
constexpr std::size_t kBurst = 16;        // datagrams: some 20 us of the thread
constexpr double kMostLate = 8 * kBurst;  // beyond that they are left out
constexpr std::size_t kSenderAt = kGeneveHeaderSize + kDiscoMagicSize, kNonceAt = kSenderAt + DiscoKey::kSize;
constexpr std::uint32_t kFirstAddress = 0x7f010001;  // 127.1.0.1
constexpr std::array kMagic{std::byte{'T'},  std::byte{'S'},  std::byte{0xf0},
                            std::byte{0x9f}, std::byte{0x92}, std::byte{0xac}};

/// Where a datagram comes from, or the size of a segment.
struct alignas(cmsghdr) Control {
  char bytes[CMSG_SPACE(sizeof(in_pktinfo))];

  template <class Value>
  void set(msghdr& header, int level, int type, const Value& value) {
    header.msg_control = bytes;
    header.msg_controllen = CMSG_SPACE(sizeof value);
    cmsghdr* const one = CMSG_FIRSTHDR(&header);
    one->cmsg_level = level;
    one->cmsg_type = type;
    one->cmsg_len = CMSG_LEN(sizeof value);
    std::memcpy(CMSG_DATA(one), &value, sizeof value);
  }
};

UniqueFd make_socket() {
  UniqueFd out(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int least = 1, most = 4 << 20;  // nobody reads the challenges that come
  if (!out || ::setsockopt(out.get(), SOL_SOCKET, SO_RCVBUF, &least, sizeof least) != 0)
    throw boost::system::system_error(last_system_error(), "make a flood's socket");
  ::setsockopt(out.get(), SOL_SOCKET, SO_SNDBUF, &most, sizeof most);
  return out;
}

}  // namespace

std::optional<FalseHandshake> false_handshake_of(std::string_view name) noexcept {
  constexpr std::array<std::string_view, 4> names{"unknown_vni", "unknown_key", "false_box", "replayed_bind"};
  const auto found = std::ranges::find(names, name);
  if (found == names.end()) return std::nullopt;
  return static_cast<FalseHandshake>(found - names.begin());
}

FloodSink::FloodSink() : socket_(make_socket()) {
  sockaddr_storage address{};
  socklen_t size = Endpoint::parse("127.0.0.1:0").value().to_sockaddr(address);
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  if (::bind(socket_.get(), any, size) != 0 || ::getsockname(socket_.get(), any, &size) != 0)
    throw boost::system::system_error(last_system_error(), "bind a flood's sink");
  address_ = Endpoint::from_sockaddr(address);
}

Flood::Flood(const FloodShape& shape, const KnownEndpoint& known)
    : shape_(shape), known_(known), buffer_(kBurst * kSize) {
  for (std::size_t i = 0; i < shape.ports; ++i) sockets_.push_back(make_socket());
  for (std::byte& one : buffer_) one = static_cast<std::byte>(next_number());
  for (std::size_t at = 0; at < buffer_.size(); at += kSize) {
    const MutableBytes datagram = MutableBytes(buffer_).subspan(at, kSize);
    write_geneve_header(datagram, {.control = true, .protocol = kProtocolDisco, .vni = known.vni});
    std::ranges::copy(kMagic, datagram.begin() + kGeneveHeaderSize);
    std::ranges::copy(known.client.bytes, datagram.begin() + kSenderAt);
    if (shape.kind == FalseHandshake::replayed_bind)
      std::ranges::copy(Bytes(known.bind).first(std::min(known.bind.size(), kSize)), datagram.begin());
  }
}

void Flood::begin(const Endpoint& to, std::uint64_t now) {
  to_ = to;
  began_ = now;
  sent_ = left_out_ = 0;
}

void Flood::send_due(std::uint64_t now) {
  const double due = shape_.rate * static_cast<double>(now - began_) / 1e9 - static_cast<double>(sent_ + left_out_);
  if (due < static_cast<double>(kBurst)) return;
  if (due > kMostLate) left_out_ += static_cast<std::uint64_t>(due - kMostLate);
  sent_ += send_burst();
}

/// xorshift: fresh, and next to nothing.
std::uint64_t Flood::next_number() noexcept {
  seed_ ^= seed_ << 13;
  seed_ ^= seed_ >> 7;
  seed_ ^= seed_ << 17;
  return seed_;
}

void Flood::fill(MutableBytes datagram) noexcept {
  if (shape_.kind == FalseHandshake::replayed_bind) return;
  store_big(datagram.subspan(kNonceAt), next_number());
  if (shape_.kind == FalseHandshake::false_box) return;
  store_big(datagram.subspan(kSenderAt), next_number());
  if (shape_.kind == FalseHandshake::unknown_key) return;
  const auto vni = static_cast<std::uint32_t>(next_number() % kLargestVni + 1);
  write_geneve_header(datagram, {.control = true, .protocol = kProtocolDisco, .vni = vni});
}

std::size_t Flood::send_burst() {
  std::array<mmsghdr, kBurst> messages{};
  std::array<iovec, kBurst> parts;
  std::array<Control, kBurst> controls;
  sockaddr_storage address{};
  const unsigned size = to_.to_sockaddr(address);
  const std::size_t sends = shape_.is_coalesced ? 1 : kBurst, segments = kBurst / sends;
  for (std::size_t i = 0; i < kBurst; ++i) fill(MutableBytes(buffer_).subspan(i * kSize, kSize));
  for (std::size_t i = 0; i < sends; ++i) {
    parts[i] = {buffer_.data() + i * segments * kSize, segments * kSize};
    msghdr& header = messages[i].msg_hdr;
    header.msg_name = &address;
    header.msg_namelen = size;
    header.msg_iov = &parts[i];
    header.msg_iovlen = 1;
    if (shape_.is_coalesced) {
      controls[i].set(header, SOL_UDP, UDP_SEGMENT, static_cast<std::uint16_t>(kSize));
    } else if (shape_.addresses > 1) {
      in_pktinfo from{};
      const auto number = static_cast<std::uint32_t>((bursts_ * kBurst + i) % shape_.addresses);
      from.ipi_spec_dst.s_addr = htonl(kFirstAddress + number);
      controls[i].set(header, IPPROTO_IP, IP_PKTINFO, from);
    }
  }
  const UniqueFd& socket = sockets_[bursts_++ % sockets_.size()];
  const int done = ::sendmmsg(socket.get(), messages.data(), static_cast<unsigned>(sends), 0);
  return done <= 0 ? 0 : static_cast<std::size_t>(done) * segments;
}

}  // namespace gatehouse::bench
