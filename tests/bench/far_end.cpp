#include "tests/bench/far_end.hpp"

#include <arpa/inet.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

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
  return count;
}

void FarEnd::flood(std::size_t size) {
  for (std::size_t i = 0; i < kBatch; ++i) {
    peers_[i] = peers_[0];
    parts_[i].iov_len = size;
    const std::uint64_t number = sent_ + i;
    std::memcpy(&memory_[i * kRoom], &number, sizeof number);
  }
  send(kBatch);
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
