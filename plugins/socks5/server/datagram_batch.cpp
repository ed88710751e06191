#include "plugins/socks5/server/datagram_batch.hpp"

#include <cerrno>
#include <cstring>

namespace gatehouse::socks5 {

DatagramBatch::DatagramBatch() : buffers_(kMost * (kHeadroom + kLargest)) {
  for (std::size_t i = 0; i < kMost; ++i) {
    in_parts_[i] = {buffers_.data() + i * (kHeadroom + kLargest) + kHeadroom, kLargest};
    in_[i].msg_hdr.msg_iov = &in_parts_[i];
    in_[i].msg_hdr.msg_iovlen = 1;
    in_[i].msg_hdr.msg_name = &in_names_[i];
    out_[i].msg_hdr.msg_iov = &out_parts_[i];
    out_[i].msg_hdr.msg_iovlen = 1;
    out_[i].msg_hdr.msg_name = &out_names_[i];
  }
}

std::span<DatagramBatch::Received> DatagramBatch::receive(int socket) noexcept {
  for (mmsghdr& one : in_) one.msg_hdr.msg_namelen = sizeof(sockaddr_storage);
  const int count = ::recvmmsg(socket, in_.data(), kMost, MSG_DONTWAIT, nullptr);
  const std::size_t got = count < 0 ? 0 : static_cast<std::size_t>(count);
  for (std::size_t i = 0; i < got; ++i)
    received_[i] = {MutableBytes(static_cast<std::byte*>(in_parts_[i].iov_base), in_[i].msg_len),
                    Endpoint::from_sockaddr(in_names_[i]), (in_[i].msg_hdr.msg_flags & MSG_TRUNC) == 0};
  return std::span(received_).first(got);
}

/// IPv4 ones go so from a socket of both families, too.
void DatagramBatch::say_source(msghdr& message, Control& control, const IpAddress& egress) noexcept {
  const auto put = [&](int level, int type, const auto& info) {
    message.msg_control = control.bytes.data();
    message.msg_controllen = CMSG_SPACE(sizeof info);
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = level;
    header->cmsg_type = type;
    header->cmsg_len = CMSG_LEN(sizeof info);
    std::memcpy(CMSG_DATA(header), &info, sizeof info);
  };
  const auto bytes = egress.bytes();
  if (egress.is_v4()) {
    in_pktinfo info{};
    std::memcpy(&info.ipi_spec_dst, bytes.data(), sizeof info.ipi_spec_dst);
    return put(IPPROTO_IP, IP_PKTINFO, info);
  }
  in6_pktinfo info{};
  std::memcpy(&info.ipi6_addr, bytes.data(), sizeof info.ipi6_addr);
  put(IPPROTO_IPV6, IPV6_PKTINFO, info);
}

void DatagramBatch::queue(Bytes datagram, const Endpoint& to, const IpAddress& egress) noexcept {
  msghdr& message = out_[queued_].msg_hdr;
  message.msg_control = nullptr;
  message.msg_controllen = 0;
  if (egress.family() != Family::none) say_source(message, out_controls_[queued_], egress);
  out_parts_[queued_] = {const_cast<std::byte*>(datagram.data()), datagram.size()};
  out_[queued_].msg_hdr.msg_namelen = to.to_sockaddr(out_names_[queued_]);
  ++queued_;
}

DatagramBatch::Sent DatagramBatch::flush(int socket) noexcept {
  Sent out;
  for (std::size_t at = 0; at < queued_;) {
    const int count = ::sendmmsg(socket, out_.data() + at, static_cast<unsigned>(queued_ - at), MSG_DONTWAIT);
    if (count <= 0) {  // the first of them is refused; a full socket refuses all
      const std::size_t lost = errno == EAGAIN || errno == EWOULDBLOCK ? queued_ - at : 1;
      out.refused += lost;
      at += lost;
      continue;
    }
    for (const std::size_t end = at + static_cast<std::size_t>(count); at < end; ++at) {
      ++out.datagrams;
      out.bytes += out_parts_[at].iov_len;
    }
  }
  queued_ = 0;
  return out;
}

}  // namespace gatehouse::socks5
