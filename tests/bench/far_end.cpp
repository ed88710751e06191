#include "tests/bench/far_end.hpp"

#include <arpa/inet.h>
#include <netinet/udp.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace gatehouse::bench {
namespace {

constexpr int kSocketBuffer = 64 << 20;

void grow(int fd, int forced, int plain) {
  if (setsockopt(fd, SOL_SOCKET, forced, &kSocketBuffer, sizeof kSocketBuffer) != 0) {
    setsockopt(fd, SOL_SOCKET, plain, &kSocketBuffer, sizeof kSocketBuffer);
  }
}

}  // namespace

FarEnd::FarEnd(Mode mode) : mode_(mode), fd_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
  grow(fd_, SO_RCVBUFFORCE, SO_RCVBUF);
  grow(fd_, SO_SNDBUFFORCE, SO_SNDBUF);
  address_.sin_family = AF_INET;
  address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address_;
  if (bind(fd_, reinterpret_cast<sockaddr*>(&address_), size) != 0 ||
      getsockname(fd_, reinterpret_cast<sockaddr*>(&address_), &size) != 0) {
    throw std::system_error(errno, std::generic_category(), "the load's UDP socket");
  }
  for (std::size_t i = 0; i < kBatch; ++i) {
    parts_[i] = {&memory_[i * kRoom], kRoom};
    messages_[i].msg_hdr = {&peers_[i], sizeof peers_[i], &parts_[i], 1, nullptr, 0, 0};
  }
}

FarEnd::~FarEnd() { close(fd_); }

std::size_t FarEnd::turn() {
  for (std::size_t i = 0; i < kBatch; ++i) {
    parts_[i].iov_len = kRoom;
    messages_[i].msg_hdr.msg_namelen = sizeof peers_[i];
  }
  const int n = recvmmsg(fd_, messages_.data(), kBatch, MSG_DONTWAIT, nullptr);
  if (n <= 0) return 0;
  const auto count = static_cast<std::size_t>(n);
  received_ += count;
  if (mode_ == Mode::echo) {
    for (std::size_t i = 0; i < count; ++i) parts_[i].iov_len = messages_[i].msg_len;
    send(count);
  }
  if (mode_ == Mode::flood) {
    for (std::size_t i = 0; i < count; ++i) {
      const bool known = std::any_of(flows_.begin(), flows_.end(),
                                     [&](const sockaddr_in& flow) { return flow.sin_port == peers_[i].sin_port; });
      if (!known) flows_.push_back(peers_[i]);
    }
  }
  return count;
}

void FarEnd::flood(const Flood& how, std::size_t count, std::uint64_t now_ns) {
  std::size_t first = 0;  // of the row
  for (std::size_t i = 0; i < count; ++i) {
    if (left_of_burst_ == 0) {
      if (how.segmented && i > first) send_segmented(how, std::exchange(first, i), i);
      flow_ = (flow_ + 1) % flows_.size();
      left_of_burst_ = how.burst;
    }
    --left_of_burst_;
    peers_[i] = flows_[flow_];
    parts_[i].iov_len = how.size;
    const std::uint64_t head[2] = {sent_ + i, now_ns};
    std::memcpy(&memory_[i * kRoom], head, sizeof head);
  }
  if (how.segmented)
    send_segmented(how, first, count);
  else
    send(count);
}

void FarEnd::send_segmented(const Flood& how, std::size_t first, std::size_t end) {
  constexpr std::size_t kMostBytes = 65000;
  for (std::size_t count; first < end; first += count) {
    count = std::min(end - first, std::max<std::size_t>(kMostBytes / how.size, 1));
    alignas(cmsghdr) std::byte control[CMSG_SPACE(sizeof(std::uint16_t))] = {};
    msghdr message{&peers_[first], sizeof peers_[first], &parts_[first], count, control, sizeof control, 0};
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = IPPROTO_UDP;
    header->cmsg_type = UDP_SEGMENT;
    header->cmsg_len = CMSG_LEN(sizeof(std::uint16_t));
    const auto size = static_cast<std::uint16_t>(how.size);
    std::memcpy(CMSG_DATA(header), &size, sizeof size);
    if (sendmsg(fd_, &message, 0) > 0) sent_ += count;
  }
}

void FarEnd::send(std::size_t count) {
  for (std::size_t done = 0; done < count;) {
    const int n = sendmmsg(fd_, &messages_[done], static_cast<unsigned>(count - done), 0);
    if (n <= 0) return;  // what the socket does not take is lost, as on a wire
    done += static_cast<std::size_t>(n);
    sent_ += static_cast<std::uint64_t>(n);
  }
}

}  // namespace gatehouse::bench
