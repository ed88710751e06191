#include "tests/bench/client_stream.hpp"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>

namespace gatehouse::bench {
namespace {

constexpr std::size_t kHeader = 11;  // length 2, flags 1, conid 2, IPv4 address 4, port 2
constexpr std::uint8_t kRebind = 0x02;

std::uint16_t load16(const std::uint8_t* p) { return static_cast<std::uint16_t>(p[0] | p[1] << 8); }
void store16(std::uint8_t* p, std::size_t value) {
  p[0] = static_cast<std::uint8_t>(value);
  p[1] = static_cast<std::uint8_t>(value >> 8);
}

}  // namespace

ClientStream::ClientStream(const sockaddr_in& server, const sockaddr_in& far_end, std::size_t forwards,
                           std::size_t size, SSL_CTX* tls)
    : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), far_end_(far_end), size_(size), forwards_(forwards) {
  if (connect(fd_, reinterpret_cast<const sockaddr*>(&server), sizeof server) != 0) {
    throw std::system_error(errno, std::generic_category(), "connect to the server");
  }
  const int on = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (tls != nullptr) {
    ssl_.reset(SSL_new(tls));
    SSL_set_fd(ssl_.get(), fd_);
    if (SSL_connect(ssl_.get()) != 1) throw std::runtime_error("the server does not shake hands");
  }
  fcntl(fd_, F_SETFL, O_NONBLOCK);
}

ClientStream::~ClientStream() { close(fd_); }

void ClientStream::put(std::size_t forward, std::uint64_t now_ns) {
  ClientForward& f = forwards_[forward];
  const std::size_t at = output_.size();
  output_.resize(at + kHeader + size_);
  std::uint8_t* p = &output_[at];
  store16(p, kHeader - 2 + size_);
  p[2] = f.opened ? 0 : kRebind;
  store16(p + 3, forward);
  std::memcpy(p + 5, &far_end_.sin_addr, 4);
  std::memcpy(p + 9, &far_end_.sin_port, 2);
  const std::uint32_t mark[2] = {static_cast<std::uint32_t>(forward), ++f.sequence};
  std::memcpy(p + kHeader, mark, sizeof mark);
  f.opened = true;
  f.sent_ns = now_ns;
}

bool ClientStream::flush() {
  if (ssl_) return flush_by_tls();
  while (written_ < output_.size()) {
    const ssize_t n = send(fd_, &output_[written_], output_.size() - written_, MSG_NOSIGNAL);
    if (n < 0) return errno == EAGAIN;
    written_ += static_cast<std::size_t>(n);
  }
  output_.clear();
  written_ = 0;
  return true;
}

bool ClientStream::fill() {
  std::memmove(input_.data(), &input_[used_], filled_ - used_);
  filled_ -= used_;
  used_ = 0;
  if (ssl_) return fill_by_tls();
  const ssize_t n = recv(fd_, &input_[filled_], input_.size() - filled_, 0);
  if (n <= 0) return n < 0 && errno == EAGAIN;
  filled_ += static_cast<std::size_t>(n);
  return true;
}

bool ClientStream::flush_by_tls() {
  while (written_ < output_.size()) {
    const int n = SSL_write(ssl_.get(), &output_[written_], static_cast<int>(output_.size() - written_));
    if (n <= 0) return SSL_get_error(ssl_.get(), n) == SSL_ERROR_WANT_WRITE;
    written_ += static_cast<std::size_t>(n);
  }
  output_.clear();
  written_ = 0;
  return true;
}

bool ClientStream::fill_by_tls() {
  while (filled_ < input_.size()) {
    const int n = SSL_read(ssl_.get(), &input_[filled_], static_cast<int>(input_.size() - filled_));
    if (n <= 0) return SSL_get_error(ssl_.get(), n) == SSL_ERROR_WANT_READ;
    filled_ += static_cast<std::size_t>(n);
  }
  return true;  // what OpenSSL holds is too little to matter, and comes with what follows
}

bool ClientStream::next(bool verify, std::size_t& forward) {
  while (filled_ - used_ >= 2) {
    const std::uint8_t* p = &input_[used_];
    const std::size_t length = 2u + load16(p);
    if (filled_ - used_ < length) return false;
    used_ += length;
    forward = length < 5 ? forwards_.size() : load16(p + 3);
    const bool whole = length == kHeader + size_ && p[2] == 0 && forward < forwards_.size() &&
                       std::memcmp(p + 5, &far_end_.sin_addr, 4) == 0 && std::memcmp(p + 9, &far_end_.sin_port, 2) == 0;
    std::uint32_t mark[2] = {};
    payload_ = p + kHeader;
    if (whole) std::memcpy(mark, payload_, sizeof mark);
    if (whole && (!verify || (mark[0] == forward && mark[1] == forwards_[forward].sequence))) return true;
    ++bad_;
  }
  return false;
}

}  // namespace gatehouse::bench
