// Load for a udpgw server: the client and the internet side in one process, for which one processor is enough.
//
//   echo   closed loop: one frame under way on every forward; round trips, latency
//   down   the internet side, in a thread of its own, floods all forwards, --burst datagrams in a row to each: --rate a
//          second in all, or as fast as it can; latency. A paced one sends when a burst is due, and sleeps otherwise,
//          so bursts are of 16 or more; evenly spread are they with --burst 1 --slack 1
//   up     the client floods one forward as fast as TCP takes it
//   open   opens every forward, then visits each until it has had --visits round trips; memory per forward
//
// With --server-pid the server's processor time and memory are read from /proc. One JSON object on stdout; exit 1 when
// a reply was not what it should be or the server closed a stream. IPv4 loopback only.

#include <arpa/inet.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "tests/bench/client_stream.hpp"
#include "tests/bench/far_end.hpp"
#include "tests/bench/processor.hpp"

namespace {

using gatehouse::bench::ClientForward;
using gatehouse::bench::ClientStream;
using gatehouse::bench::FarEnd;
using gatehouse::bench::processor_ns;

struct Options {
  std::string mode = "echo";
  int port = 7300, cpu = -1;
  std::vector<int> server_pids;  // whose processor time counts; the first one's memory
  bool tls = false;
  std::size_t streams = 1, forwards = 1, size = 512, in_flight = 256;
  std::uint32_t visits = 10;
  double rate = 0;
  FarEnd::Flood flood;
  unsigned long slack = 0;
  double seconds = 3, warmup = 0.5;
};

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr const char* kUsage =
    "usage: udpgw_load [--mode echo|down|up|open] [--port P] [--streams N] [--forwards N (each stream)] [--size "
    "BYTES]\n"
    "                  [--seconds S] [--warmup S] [--visits N] [--in-flight N] [--server-pid PID] [--cpu N]\n"
    "                  [--rate N (a second; 0: no limit)] [--burst N] [--gso 1 (UDP_SEGMENT)] [--slack NS (timers')] "
    "[--tls 1]";

std::uint64_t now_ns() {
  return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1));
}

std::uint64_t resident_bytes(const std::vector<int>& pids) {
  const int pid = pids.empty() ? 0 : pids.front();
  std::uint64_t size = 0, resident = 0;
  std::ifstream("/proc/" + std::to_string(pid) + "/statm") >> size >> resident;
  return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

FarEnd::Mode far_end_mode(const std::string& mode) {
  if (mode == "up") return FarEnd::Mode::count;
  return mode == "down" ? FarEnd::Mode::flood : FarEnd::Mode::echo;
}

class Load {
 public:
  explicit Load(const Options& options)
      : options_(options),
        tls_(options.tls ? SSL_CTX_new(TLS_client_method()) : nullptr, SSL_CTX_free),
        far_end_(far_end_mode(options.mode)) {
    if (tls_) SSL_CTX_set_mode(tls_.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    sockaddr_in server{};
    server.sin_family = AF_INET;
    server.sin_port = htons(static_cast<std::uint16_t>(options.port));
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    for (std::size_t i = 0; i < options.streams; ++i) {
      streams_.push_back(
          std::make_unique<ClientStream>(server, far_end_.address(), options.forwards, options.size, tls_.get()));
      watch(streams_.back()->fd(), streams_.back().get());
    }
    watch(far_end_.fd(), nullptr);
  }
  ~Load() { close(epoll_); }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

  int run() {
    const std::uint64_t connected = resident_bytes(options_.server_pids);
    if (options_.mode == "echo") echo();
    if (options_.mode == "down") down();
    if (options_.mode == "up") up();
    if (options_.mode == "open") open(connected);
    std::uint64_t bad = 0;
    for (const auto& stream : streams_) bad += stream->bad();
    std::printf("\"bad\":%llu,\"closed_streams\":%llu}\n", static_cast<unsigned long long>(bad),
                static_cast<unsigned long long>(closed_));
    return bad != 0 || closed_ != 0 ? 1 : 0;
  }

 private:
  void watch(int fd, void* owner) const {
    epoll_event event{EPOLLIN, {.ptr = owner}};
    epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
  }

  /// One turn of the loop: both sides do what they can; `on_reply(stream, forward)` sees each reply.
  template <class OnReply>
  void turn(int wait_ms, bool verify, OnReply on_reply) {
    epoll_event events[64];
    const int n = epoll_wait(epoll_, events, 64, wait_ms);
    for (int i = 0; i < n; ++i) {
      auto* stream = static_cast<ClientStream*>(events[i].data.ptr);
      if (stream == nullptr) {
        while (far_end_.turn() == 64) continue;
      } else if (!stream->read(verify, [&](std::size_t forward) { on_reply(*stream, forward); }) || !stream->flush()) {
        epoll_ctl(epoll_, EPOLL_CTL_DEL, stream->fd(), nullptr);
        ++closed_;
      }
    }
  }

  /// Measures `count()` over the asked time, with `work(measuring)` as the loop's body.
  template <class Work, class Count>
  void measure(Work work, Count count) {
    const std::uint64_t begin = now_ns() + static_cast<std::uint64_t>(options_.warmup * 1e9);
    while (now_ns() < begin) work(false);
    const std::uint64_t start = now_ns(), first = count(), cpu = processor_ns(options_.server_pids);
    const std::uint64_t end = start + static_cast<std::uint64_t>(options_.seconds * 1e9);
    while (now_ns() < end && closed_ == 0) work(true);
    const double seconds = static_cast<double>(now_ns() - start) / 1e9;
    const auto done = static_cast<double>(count() - first);
    const auto used = static_cast<double>(processor_ns(options_.server_pids) - cpu);
    std::printf("{\"mode\":\"%s\",\"streams\":%zu,\"forwards\":%zu,\"size\":%zu,\"seconds\":%.3f,",
                options_.mode.c_str(), options_.streams, options_.streams * options_.forwards, options_.size, seconds);
    std::printf("\"per_second\":%.0f,\"server_cpu_us_each\":%.3f,\"server_cpu_share\":%.3f,", done / seconds,
                done > 0 ? used / 1e3 / done : 0.0, used / 1e9 / seconds);
  }

  void echo() {
    std::uint64_t answered = 0, lost = 0, next_look = 0;
    std::vector<std::uint32_t> latencies;
    for (auto& stream : streams_) {
      for (std::size_t i = 0; i < options_.forwards; ++i) stream->put(i, now_ns());
      stream->flush();
    }
    measure(
        [&](bool measuring) {
          turn(10, true, [&](ClientStream& stream, std::size_t forward) {
            const std::uint64_t now = now_ns();
            const std::uint64_t taken = now - stream.forwards()[forward].sent_ns;
            if (measuring) latencies.push_back(static_cast<std::uint32_t>(std::min<std::uint64_t>(taken, UINT32_MAX)));
            ++answered;
            stream.put(forward, now);
          });
          if (now_ns() > next_look) {
            next_look = now_ns() + kSecond / 4;
            lost += resend();
          }
        },
        [&] { return answered; });
    print_latencies(lost, latencies);
  }

  static void print_latencies(std::uint64_t lost, std::vector<std::uint32_t>& latencies) {
    std::sort(latencies.begin(), latencies.end());
    const auto quantile = [&](double q) {
      return latencies.empty() ? 0.0 : latencies[static_cast<std::size_t>(q * double(latencies.size() - 1))] / 1e3;
    };
    std::printf("\"lost\":%llu,\"latency_us\":{\"p50\":%.1f,\"p99\":%.1f,\"p999\":%.1f},",
                static_cast<unsigned long long>(lost), quantile(0.5), quantile(0.99), quantile(0.999));
  }

  /// Sends again on every forward that has waited a second: its datagram is lost. Returns how many there were.
  std::uint64_t resend() {
    std::uint64_t lost = 0;
    const std::uint64_t now = now_ns();
    for (auto& stream : streams_) {
      for (std::size_t i = 0; i < options_.forwards; ++i) {
        if (now - stream->forwards()[i].sent_ns < kSecond) continue;
        ++lost;
        stream->put(i, now);
      }
      stream->flush();
    }
    return lost;
  }

  void down() {
    const auto nothing = [](ClientStream&, std::size_t) {};
    for (auto& stream : streams_) {
      for (std::size_t i = 0; i < options_.forwards; ++i) stream->put(i, now_ns());
      stream->flush();
    }
    while (far_end_.flows() < options_.streams * options_.forwards && closed_ == 0) turn(10, false, nothing);
    epoll_ctl(epoll_, EPOLL_CTL_DEL, far_end_.fd(), nullptr);
    std::uint64_t got = 0, sent = 0, now = 0;
    std::vector<std::uint32_t> latencies;
    const std::jthread flooding([this](const std::stop_token& stop) { flood(stop); });
    measure(
        [&](bool measuring) {
          if (!measuring) sent = far_end_.sent();
          now = 0;
          turn(10, false, [&](ClientStream& stream, std::size_t) {
            ++got;
            if (!measuring) return;
            if (now == 0) now = now_ns();  // one clock reading a turn
            std::uint64_t then = 0;
            std::memcpy(&then, stream.payload() + sizeof then, sizeof then);
            latencies.push_back(
                static_cast<std::uint32_t>(std::min<std::uint64_t>(now - std::min(then, now), UINT32_MAX)));
          });
        },
        [&] { return got; });
    const std::uint64_t offered = far_end_.sent() - sent;
    std::printf("\"offered\":%llu,", static_cast<unsigned long long>(offered));
    print_latencies(offered - std::min<std::uint64_t>(offered, latencies.size()), latencies);
  }

  /// The internet side of `down`: paced by the clock.
  void flood(const std::stop_token& stop) {
    if (options_.slack != 0) prctl(PR_SET_TIMERSLACK, options_.slack, 0, 0, 0);
    const std::uint64_t start = now_ns();
    for (std::uint64_t sent = 0; !stop.stop_requested();) {
      const std::uint64_t now = now_ns();
      std::uint64_t due = FarEnd::kBatch;
      if (options_.rate > 0) {
        due = static_cast<std::uint64_t>(static_cast<double>(now - start) * options_.rate / 1e9) - sent;
        if (due < std::min<std::uint64_t>(FarEnd::kBatch, options_.flood.burst)) {
          const timespec pause{0, 20'000};
          nanosleep(&pause, nullptr);
          continue;
        }
      }
      const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(due, FarEnd::kBatch));
      far_end_.flood(options_.flood, count, now);
      sent += count;
    }
  }

  void up() {
    std::uint64_t put = 0;
    const auto nothing = [](ClientStream&, std::size_t) {};
    measure(
        [&](bool) {
          for (; streams_[0]->unsent() < 128 * 1024; ++put) streams_[0]->put(0, 0);
          if (!streams_[0]->flush()) ++closed_;
          turn(0, false, nothing);
          while (far_end_.turn() == 64) continue;
        },
        [&] { return far_end_.received(); });
    for (std::uint64_t seen = ~0ull; seen != far_end_.received();) {  // what is under way arrives
      seen = far_end_.received();
      for (int i = 0; i < 20; ++i) {
        streams_[0]->flush();
        turn(10, false, nothing);
      }
    }
    const double lost = 1.0 - static_cast<double>(far_end_.received()) / static_cast<double>(put);
    std::printf("\"sent\":%llu,\"loss\":%.6f,", static_cast<unsigned long long>(put), std::max(0.0, lost));
  }

  void open(std::uint64_t connected) {
    const std::size_t all = options_.streams * options_.forwards;
    const std::uint64_t start = now_ns();
    std::uint64_t answered = 0, asked = 0, lost = 0, progress = start;
    const std::uint64_t goal = static_cast<std::uint64_t>(all) * options_.visits;
    // A forward has one datagram under way: a reply is known by its forward's newest number, and a server that waits
    // for its processor may be several behind.
    std::unordered_map<const ClientStream*, std::vector<bool>> under_way;
    for (auto& stream : streams_) under_way[stream.get()].resize(options_.forwards);
    while (answered + lost < goal && closed_ == 0) {
      while (asked < goal && asked - answered - lost < options_.in_flight) {
        ClientStream& stream = *streams_[asked % options_.streams];
        const std::size_t forward = (asked / options_.streams) % options_.forwards;
        if (under_way[&stream][forward]) break;
        under_way[&stream][forward] = true;
        stream.put(forward, now_ns());
        ++asked;
      }
      for (auto& stream : streams_) stream->flush();
      turn(10, true, [&](const ClientStream& stream, std::size_t forward) {
        under_way[&stream][forward] = false;
        ++answered;
        progress = now_ns();
      });
      if (now_ns() - progress > kSecond) {
        lost = asked - answered;
        progress = now_ns();
        for (auto& [stream, forwards] : under_way) std::fill(forwards.begin(), forwards.end(), false);
      }
    }
    const double seconds = static_cast<double>(now_ns() - start) / 1e9;
    const auto grown = static_cast<double>(resident_bytes(options_.server_pids)) - static_cast<double>(connected);
    std::printf("{\"mode\":\"open\",\"streams\":%zu,\"forwards\":%zu,\"size\":%zu,\"visits\":%u,\"seconds\":%.3f,",
                options_.streams, all, options_.size, options_.visits, seconds);
    std::printf("\"answered\":%llu,\"lost\":%llu,\"rss_before\":%llu,\"rss_bytes_per_forward\":%.0f,",
                static_cast<unsigned long long>(answered), static_cast<unsigned long long>(lost),
                static_cast<unsigned long long>(connected), grown / static_cast<double>(all));
  }

  Options options_;
  const std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> tls_;
  FarEnd far_end_;
  std::vector<std::unique_ptr<ClientStream>> streams_;
  int epoll_ = -1;
  std::uint64_t closed_ = 0;
};

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; i += 2) {
    const std::string name = argv[i];
    if (i + 1 >= argc) throw std::invalid_argument(kUsage);
    const char* value = argv[i + 1];
    const auto number = static_cast<std::size_t>(std::strtoul(value, nullptr, 10));
    if (name == "--mode")
      options.mode = value;
    else if (name == "--port")
      options.port = std::atoi(value);
    else if (name == "--streams")
      options.streams = number;
    else if (name == "--forwards")
      options.forwards = number;
    else if (name == "--size")
      options.size = number;
    else if (name == "--in-flight")
      options.in_flight = number;
    else if (name == "--visits")
      options.visits = static_cast<std::uint32_t>(number);
    else if (name == "--seconds")
      options.seconds = std::atof(value);
    else if (name == "--warmup")
      options.warmup = std::atof(value);
    else if (name == "--server-pid")
      options.server_pids.push_back(std::atoi(value));
    else if (name == "--rate")
      options.rate = std::atof(value);
    else if (name == "--burst")
      options.flood.burst = std::max<std::size_t>(number, 1);
    else if (name == "--tls")
      options.tls = number != 0;
    else if (name == "--gso")
      options.flood.segmented = number != 0;
    else if (name == "--slack")
      options.slack = number;
    else if (name == "--cpu")
      options.cpu = std::atoi(value);
    else
      throw std::invalid_argument(kUsage);
  }
  if (options.size < 16 || options.size > 2000) throw std::invalid_argument("--size is 16 to 2000");
  options.flood.size = options.size;
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const Options options = parse(argc, argv);
    gatehouse::bench::pin(options.cpu);
    return Load(options).run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "udpgw_load: %s\n", error.what());
    return 2;
  }
}
