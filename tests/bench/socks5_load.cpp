// A load for SOCKS5 servers: the clients and the far end in one thread, which touches no byte that it can leave alone,
// so that what is between them is what is measured. Prints one JSON object.
//
//   socks5_load --port 1080 --mode down|up|connect [--streams 1] [--seconds 3] [--cpu 1]
//
// down, up: so many connections, each as full as it gets, for so long. connect: so many at once, each with one byte
// there and back, one after the other.
#include "tests/bench/processor.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::bench {
namespace {

using Clock = std::chrono::steady_clock;

enum class Role : std::uint8_t { far_listener, source, sink, echo, dialer };

struct Peer {
  int fd = -1;
  Role role = Role::sink;
  std::uint8_t step = 0;  // of a dialer: connecting, greeted, asked, sent
};

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "socks5_load: %s: %s\n", what, std::strerror(errno));
  std::exit(1);
}

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(port);
  out.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return out;
}

void close_at_once(int fd) {  // no port waits
  const linger at_once{1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close(fd);
}

class Load {
 public:
  Load(std::uint16_t port, std::string_view mode, std::size_t streams)
      : server_(loopback(port)),
        client_role_(mode == "down" ? Role::sink
                     : mode == "up" ? Role::source
                                    : Role::dialer),
        far_role_(mode == "down" ? Role::source
                  : mode == "up" ? Role::sink
                                 : Role::echo) {
    listen();
    for (std::size_t i = 0; i < streams; ++i) client_role_ == Role::dialer ? dial() : open();
  }

  void run(double seconds) {
    constexpr double kWarmUp = 0.5;
    const auto begin = Clock::now();
    const auto passed = [&] { return std::chrono::duration<double>(Clock::now() - begin).count(); };
    while (passed() < kWarmUp) turn();
    const std::uint64_t bytes = bytes_, connections = connections_;
    const double from = passed();
    while (passed() < kWarmUp + seconds) turn();
    const double took = passed() - from;
    std::printf(
        "{\"gbit_per_second\": %.3f, \"connections_per_second\": %.0f, \"all_bytes\": %llu, "
        "\"all_connections\": %llu, \"failed\": %llu}\n",
        static_cast<double>(bytes_ - bytes) * 8e-9 / took, static_cast<double>(connections_ - connections) / took,
        static_cast<unsigned long long>(bytes_), static_cast<unsigned long long>(connections_),
        static_cast<unsigned long long>(failed_));
  }

 private:
  void listen() {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    if (bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(fd, 4096) != 0 ||
        getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0)
      fail("the far end");
    std::memcpy(request_.data() + 4, &address.sin_addr, 4);
    std::memcpy(request_.data() + 8, &address.sin_port, 2);
    add(fd, Role::far_listener, EPOLLIN);
  }

  Peer* add(int fd, Role role, std::uint32_t events) {
    auto* const peer = new Peer{fd, role};
    epoll_event event{};
    event.events = events;
    event.data.ptr = peer;
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) fail("epoll");
    return peer;
  }

  /// One whose opening may block: before it counts.
  void open() {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    std::array<char, 16> answer{};
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&server_), sizeof server_) != 0) fail("connect");
    if (send(fd, kGreeting, 3, 0) != 3 || recv(fd, answer.data(), 2, MSG_WAITALL) != 2 || answer[1] != 0)
      fail("greeting");
    if (send(fd, request_.data(), request_.size(), 0) != 10 || recv(fd, answer.data(), 10, MSG_WAITALL) != 10 ||
        answer[1] != 0)
      fail("request");
    add(fd, client_role_, client_role_ == Role::source ? EPOLLOUT : EPOLLIN);
  }

  void dial() {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&server_), sizeof server_) != 0 && errno != EINPROGRESS)
      fail("connect");
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    add(fd, Role::dialer, EPOLLOUT);
  }

  void turn() {
    std::array<epoll_event, 256> events;
    const int count = epoll_wait(epoll_, events.data(), events.size(), 10);
    for (int i = 0; i < count; ++i) serve(*static_cast<Peer*>(events[static_cast<std::size_t>(i)].data.ptr));
  }

  void serve(Peer& peer) {
    switch (peer.role) {
      case Role::far_listener: return accept(peer);
      case Role::source: return write(peer);
      case Role::sink: return read(peer);
      case Role::echo: return echo(peer);
      case Role::dialer: return go_on(peer);
    }
  }

  void accept(const Peer& listener) {
    for (int fd; (fd = accept4(listener.fd, nullptr, nullptr, SOCK_NONBLOCK)) >= 0;)
      add(fd, far_role_, far_role_ == Role::source ? EPOLLOUT : EPOLLIN);
  }

  void write(const Peer& peer) {
    off_t from = 0;
    sendfile(peer.fd, pages_, &from, kPages);  // what it takes, without a copy
  }

  void read(const Peer& peer) {
    const ssize_t got = recv(peer.fd, nullptr, 8 << 20, MSG_TRUNC | MSG_DONTWAIT);  // as if it had been read
    if (got > 0) bytes_ += static_cast<std::uint64_t>(got);
  }

  void echo(Peer& peer) {
    char byte;
    if (recv(peer.fd, &byte, 1, 0) == 1 && send(peer.fd, &byte, 1, MSG_NOSIGNAL) == 1) return;
    if (errno == EAGAIN) return;
    forget(peer);
  }

  void go_on(Peer& peer) {
    std::array<char, 16> answer;
    const auto says = [&](const void* bytes, std::size_t size) {
      return send(peer.fd, bytes, size, MSG_NOSIGNAL) == static_cast<ssize_t>(size);
    };
    const auto hears = [&](ssize_t size) { return recv(peer.fd, answer.data(), answer.size(), 0) == size; };
    bool is_well = true;
    switch (peer.step++) {
      case 0: {
        is_well = says(kGreeting, 3);
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.ptr = &peer;
        epoll_ctl(epoll_, EPOLL_CTL_MOD, peer.fd, &event);
        break;
      }
      case 1: is_well = hears(2) && answer[1] == 0 && says(request_.data(), request_.size()); break;
      case 2: is_well = hears(10) && answer[1] == 0 && says("x", 1); break;
      default:
        if (hears(1))
          ++connections_;
        else
          ++failed_;
        forget(peer);
        return dial();
    }
    if (is_well) return;
    ++failed_;
    forget(peer);
    dial();
  }

  static void forget(Peer& peer) {
    close_at_once(peer.fd);
    delete &peer;
  }

  static constexpr char kGreeting[] = {5, 1, 0};
  static constexpr std::size_t kPages = 1 << 20;
  static int make_pages() {
    const int fd = memfd_create("load", 0);
    const std::vector<char> bytes(kPages);
    if (fd < 0 || ::write(fd, bytes.data(), kPages) != static_cast<ssize_t>(kPages)) fail("memory");
    return fd;
  }

  const int epoll_ = epoll_create1(0);
  const int pages_ = make_pages();
  const sockaddr_in server_;
  const Role client_role_, far_role_;
  std::array<char, 10> request_ = {5, 1, 0, 1};
  std::uint64_t bytes_ = 0, connections_ = 0, failed_ = 0;
};

}  // namespace
}  // namespace gatehouse::bench

int main(int argc, char** argv) {
  std::uint16_t port = 1080;
  std::string mode = "down";
  std::size_t streams = 1;
  double seconds = 3;
  int cpu = -1;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view option = argv[i];
    const char* const value = argv[i + 1];
    if (option == "--port") port = static_cast<std::uint16_t>(std::atoi(value));
    if (option == "--mode") mode = value;
    if (option == "--streams") streams = static_cast<std::size_t>(std::atoi(value));
    if (option == "--seconds") seconds = std::atof(value);
    if (option == "--cpu") cpu = std::atoi(value);
  }
  gatehouse::bench::pin(cpu);
  gatehouse::bench::Load(port, mode, streams).run(seconds);
}
