// How many datagrams a UdpListener sends back from one core, held against bare loops around the same system calls.
//
// A server on the first core, clients on the second, over loopback, for a part of a second each. Clients send single
// datagrams, 16 at a time, or 32 in one piece (UDP_SEGMENT), from as many sockets as there are flows.
//
// usage: udp_listener_bench [SECONDS [ROUNDS]]   (of each measurement, 0.3; 5)
//
// Servers take turns, each round's figures are held against the bare loop's of that round, and medians are shown: a
// virtual machine is fast at one minute and slow at another. Last stands what UDP_GRO costs datagrams that come singly.
//
// The rate is what clients got back in time. The clients share their core with most of what the kernel does for their
// datagrams, and tire first where these are single: what counts then is the server's time for each.
#include <gatehouse/net/udp_listener.hpp>
#include <gatehouse/net/udp_socket.hpp>

#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

namespace gatehouse {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kSize = 1280;  // bytes of each datagram
constexpr int kBuffer = 7 << 20;

void run_on_core(unsigned core) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(core % std::max(std::thread::hardware_concurrency(), 1u), &one);
  pthread_setaffinity_np(pthread_self(), sizeof one, &one);
}

UniqueFd make_server() {
  UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  sockaddr_storage address{};
  const socklen_t size = Endpoint{IpAddress::v4(INADDR_ANY), 0, 0}.to_sockaddr(address);
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0) std::perror("bind"), std::exit(1);
  if (setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kBuffer, sizeof kBuffer) != 0)
    setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &kBuffer, sizeof kBuffer);
  return fd;
}

/// One turn of a server: whatever has come goes back.
class Server {
 public:
  virtual ~Server() = default;
  virtual void turn() = 0;
};

/// recvmmsg and sendmmsg of 64 and nothing else: neither local addresses nor anything put together by it. With `pieces`
/// buffers go back as they came.
class BareServer final : public Server {
 public:
  BareServer(int fd, bool pieces) : fd_(fd), pieces_(pieces), buffer_(new std::byte[kMessages * kRoom]) {
    const int on = 1;
    if (pieces) setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof on);
  }
  void turn() override {
    for (std::size_t i = 0; i < kMessages; ++i) {
      parts_[i] = {&buffer_[i * kRoom], kRoom};
      messages_[i].msg_hdr = {&names_[i], sizeof names_[i], &parts_[i], 1, controls_[i].bytes, sizeof controls_[i], 0};
    }
    const int got = recvmmsg(fd_, messages_, kMessages, 0, nullptr);
    for (int i = 0; i < got; ++i) {
      msghdr& message = messages_[i].msg_hdr;
      parts_[i].iov_len = messages_[i].msg_len;
      if (cmsghdr* const control = CMSG_FIRSTHDR(&message); control != nullptr && pieces_) {
        int segment = 0;
        std::memcpy(&segment, CMSG_DATA(control), sizeof segment);
        const auto size = static_cast<std::uint16_t>(segment);
        control->cmsg_type = UDP_SEGMENT;
        control->cmsg_len = CMSG_LEN(sizeof size);
        std::memcpy(CMSG_DATA(control), &size, sizeof size);
        message.msg_controllen = CMSG_SPACE(sizeof size);
      } else {
        message.msg_controllen = 0;
      }
    }
    for (int at = 0; at < got;) {
      const int sent = sendmmsg(fd_, messages_ + at, static_cast<unsigned>(got - at), 0);
      at += std::max(sent, 1);
    }
  }

 private:
  static constexpr std::size_t kMessages = 64, kRoom = 65536;
  struct alignas(cmsghdr) Control {
    std::byte bytes[64];
  };
  int fd_;
  bool pieces_;
  mmsghdr messages_[kMessages];
  iovec parts_[kMessages];
  sockaddr_in names_[kMessages];
  Control controls_[kMessages];
  std::unique_ptr<std::byte[]> buffer_;
};

class ListenerServer final : public Server {
 public:
  ListenerServer(int fd, const UdpListener::Options& options)
      : listener_(
            poller_, fd, [this](std::span<Datagram> datagrams) { listener_.send(datagrams); }, options) {}
  void turn() override { poller_.turn(); }

 private:
  Poller poller_;
  UdpListener listener_;
};

/// Connected sockets, on which everything comes back that they send.
class Clients {
 public:
  Clients(const Endpoint& server, std::size_t flows) : buffer_(new std::byte[65536]) {
    UdpConnector connector(1 << 20);
    const int on = 1;
    for (std::size_t i = 0; i < flows; ++i) {
      auto fd = connector.connect(server, {});
      if (!fd) std::perror("connect"), std::exit(1);
      setsockopt(fd->get(), IPPROTO_UDP, UDP_GRO, &on, sizeof on);
      sockets_.push_back(std::move(*fd));
    }
  }

  /// Bursts from each until `end`. @return datagrams that came back
  std::uint64_t run(Clock::time_point end, bool in_pieces) {
    const std::vector<std::byte> payload(kSize, std::byte{1});
    const std::vector<Bytes> piece(32, Bytes(payload));
    iovec part{const_cast<std::byte*>(payload.data()), kSize};
    std::array<mmsghdr, 16> singles{};
    for (mmsghdr& one : singles) one.msg_hdr.msg_iov = &part, one.msg_hdr.msg_iovlen = 1;
    std::uint64_t back = 0;
    while (Clock::now() < end) {
      for (const UniqueFd& fd : sockets_) {
        if (in_pieces)
          static_cast<void>(send_segments(fd.get(), piece, kSize));
        else
          sendmmsg(fd.get(), singles.data(), singles.size(), 0);
      }
      for (const UniqueFd& fd : sockets_) back += drain(fd);
    }
    return back;
  }

 private:
  std::uint64_t drain(const UniqueFd& fd) {
    std::uint64_t bytes = 0;
    for (ssize_t got = 0; (got = recv(fd.get(), buffer_.get(), 65536, MSG_TRUNC)) > 0;)
      bytes += static_cast<std::size_t>(got);
    return bytes / kSize;
  }

  std::vector<UniqueFd> sockets_;
  std::unique_ptr<std::byte[]> buffer_;
};

struct Measured {
  double kpps;         // that came back
  double nanoseconds;  // of the server's core, each
};

using MakeServer = std::function<std::unique_ptr<Server>(int fd)>;

struct Shape {
  std::size_t flows;
  bool in_pieces;
};
constexpr std::array kShapes{Shape{1, false}, Shape{64, false}, Shape{1, true}, Shape{64, true}};

Measured measure(const MakeServer& make, const Shape& shape, double seconds) {
  const UniqueFd fd = make_server();
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size);
  const Endpoint at{IpAddress::v4(INADDR_LOOPBACK), Endpoint::from_sockaddr(address).port, 0};

  std::atomic<bool> is_over = false;
  std::atomic<double> used = 0;
  std::thread server([&] {
    run_on_core(0);
    const std::unique_ptr<Server> serving = make(fd.get());
    pollfd ready{fd.get(), POLLIN, 0};
    while (!is_over) {
      if (poll(&ready, 1, 10) == 1) serving->turn();
    }
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    used = static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
  });
  run_on_core(1);
  Clients clients(at, shape.flows);
  const std::uint64_t back =
      clients.run(Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds)),
                  shape.in_pieces);
  is_over = true;
  server.join();
  const auto count = static_cast<double>(std::max<std::uint64_t>(back, 1));
  return {count / seconds / 1000, used / count};
}

struct Kind {
  const char* name;
  MakeServer make;
  std::array<std::vector<Measured>, kShapes.size()> runs{};  // one a round
};

Kind listener(const char* name, const UdpListener::Options& options) {
  return {name, [options](int fd) { return std::make_unique<ListenerServer>(fd, options); }};
}

double median(std::vector<double> of) {
  std::ranges::sort(of);
  return of.empty() ? 0 : of[of.size() / 2];
}

/// Of each round of a shape, the server's time by that of another server.
std::vector<double> ratios(const Kind& kind, const Kind& other, std::size_t shape) {
  std::vector<double> out;
  for (std::size_t i = 0; i < kind.runs[shape].size(); ++i)
    out.push_back(kind.runs[shape][i].nanoseconds / other.runs[shape][i].nanoseconds);
  return out;
}

void print_row(const Kind& kind, const Kind& bare) {
  std::printf("%-44s", kind.name);
  for (std::size_t shape = 0; shape < kShapes.size(); ++shape) {
    std::vector<double> kpps, ns;
    for (const Measured& one : kind.runs[shape]) kpps.push_back(one.kpps), ns.push_back(one.nanoseconds);
    std::printf(" %5.0f %5.0f %5.2f |", median(kpps), median(ns), median(ratios(kind, bare, shape)));
  }
  std::printf("\n");
}

void print_ratios(const char* what, const Kind& kind, const Kind& other) {
  for (std::size_t shape = 0; shape < 2; ++shape) {
    const std::vector<double> each = ratios(kind, other, shape);
    std::printf("%s, single, %zu flows: %.3f [", what, kShapes[shape].flows, median(each));
    for (const double one : each) std::printf(" %.3f", one);
    std::printf(" ]\n");
  }
}

}  // namespace
}  // namespace gatehouse

int main(int argc, char** argv) {
  using namespace gatehouse;
  const double seconds = argc > 1 ? std::atof(argv[1]) : 0.3;
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 5;
  std::vector<Kind> kinds{
      {"bare loop, UDP_GRO in and UDP_SEGMENT out", [](int fd) { return std::make_unique<BareServer>(fd, true); }},
      {"bare loop", [](int fd) { return std::make_unique<BareServer>(fd, false); }},
      listener("listener, singles in and out", {.gso = Gso::off}),
      listener("listener, UDP_GRO in, singles out", {.aggregates = true, .gso = Gso::off}),
      listener("listener, singles in, UDP_SEGMENT out", {}),
      listener("listener, UDP_GRO in, UDP_SEGMENT out", {.aggregates = true}),
      listener("listener, the same, never an equal tail", {.aggregates = true, .gso = Gso::never_equal_tail})};
  for (int round = 0; round < rounds; ++round)
    for (std::size_t shape = 0; shape < kShapes.size(); ++shape)
      for (std::size_t i = 0; i < kinds.size(); ++i) {
        Kind& kind = kinds[(i + static_cast<std::size_t>(round)) % kinds.size()];
        kind.runs[shape].push_back(measure(kind.make, kShapes[shape], seconds));
      }
  std::printf("%zu B; kpps back, ns of the server each, times the first row\n%44s%s\n", kSize, "",
              " single, 1 flow    | single, 64        | pieces, 1         | pieces, 64        |");
  for (const Kind& kind : kinds) print_row(kind, kinds.front());
  print_ratios("UDP_GRO on, in times of off", kinds[5], kinds[4]);
}
