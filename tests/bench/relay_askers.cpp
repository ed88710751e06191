// Asks a relay's API for endpoints, each of two clients that nobody has seen: as many as are wanted, over some
// connections that stay, each with one request at a time. In one thread, so that it takes little from the relay.
//
// One JSON object on stdout; exit 1 when the relay refuses one, 2 when there is no load.

#include "plugins/geneve-relay/client/endpoint_exchange.hpp"
#include "plugins/geneve-relay/wire/random_pool.hpp"
#include "tests/bench/histogram.hpp"
#include "tests/bench/processor.hpp"

#include <gatehouse/base/clock.hpp>
#include <gatehouse/base/unique_fd.hpp>

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace gatehouse;
using namespace gatehouse::bench;
using namespace gatehouse::geneve_relay;

constexpr const char* kUsage =
    "usage: relay_askers --api PATH --count N [--connections N] [--server-pid PID] [--cpu N]";

struct Options {
  std::string path;
  std::size_t count = 0, connections = 64;
  std::vector<int> server_pids;
  int cpu = -1;
};

std::uint64_t now_ns() { return to_ns(steady_now()); }

class Askers {
 public:
  explicit Askers(const Options& options)
      : options_(options), epoll_(::epoll_create1(EPOLL_CLOEXEC)), askers_(options.connections) {}

  int run() {
    const std::uint64_t server = processor_ns(options_.server_pids), own = processor_ns({::getpid()}), began = now_ns();
    for (std::size_t i = 0; i < askers_.size(); ++i) begin(i);
    while (done_ < options_.count) {
      std::array<epoll_event, 256> events;
      const int ready = ::epoll_wait(epoll_.get(), events.data(), events.size(), 10'000);
      if (ready == 0) throw std::runtime_error("no answer for 10 s, after " + std::to_string(done_));
      for (int i = 0; i < ready; ++i) take(events[static_cast<std::size_t>(i)].data.u64);
    }
    const double seconds = static_cast<double>(now_ns() - began) / 1e9;
    const auto share = [&](std::uint64_t since, const std::vector<int>& pids) {
      return static_cast<double>(processor_ns(pids) - since) / 1e9 / seconds;
    };
    std::printf(
        "{\"count\":%zu,\"seconds\":%.3f,\"per_second\":%.0f,\"ms\":{\"p50\":%.2f,\"p99\":%.2f},"
        "\"server_cpu_share\":%.2f,\"own_cpu_share\":%.2f}\n",
        done_, seconds, static_cast<double>(done_) / seconds, static_cast<double>(times_.quantile(0.5)) / 1e6,
        static_cast<double>(times_.quantile(0.99)) / 1e6, share(server, options_.server_pids),
        share(own, {::getpid()}));
    return 0;
  }

 private:
  struct Asker {
    UniqueFd stream;
    std::vector<std::byte> got;
    std::uint64_t asked_at = 0;
  };

  void begin(std::size_t index) {
    if (asked_ == options_.count) return;
    Asker& asker = askers_[index];
    if (!asker.stream) connect(asker, index);
    ++asked_;
    ask(asker);
  }

  void connect(Asker& asker, std::size_t index) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, options_.path.c_str(), sizeof address.sun_path - 1);
    asker.stream = UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!asker.stream ||
        ::connect(asker.stream.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
      throw std::runtime_error("the relay's API cannot be reached at " + options_.path + ": " + std::strerror(errno));
    epoll_event event{EPOLLIN, {.u64 = index}};
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, asker.stream.get(), &event);
  }

  void ask(Asker& asker) {
    DiscoPair clients;
    for (DiscoKey& key : clients.keys) random_.fill(key.bytes);
    std::string request = write_endpoint_request("localhost", "", clients, WireForm::current);
    static constexpr std::string_view kLast = "Connection: close\r\n";
    request.erase(request.find(kLast), kLast.size());
    asker.got.clear();
    asker.asked_at = now_ns();
    if (::send(asker.stream.get(), request.data(), request.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(request.size()))
      throw std::runtime_error(std::string("a request was not taken: ") + std::strerror(errno));
  }

  void take(std::size_t index) {
    Asker& asker = askers_[index];
    std::array<std::byte, 4096> room;
    const ssize_t got = ::recv(asker.stream.get(), room.data(), room.size(), 0);
    if (got <= 0) {  // it takes so many requests of a connection
      const bool waits = asker.asked_at != 0;
      asker.stream = UniqueFd();
      if (waits) throw std::runtime_error("the relay ended a connection without an answer");
      return begin(index);
    }
    asker.got.insert(asker.got.end(), room.begin(), room.begin() + got);
    const EndpointAnswer answer = read_endpoint_answer(asker.got, false);
    if (answer.state == EndpointAnswer::State::incomplete) return;
    if (answer.state == EndpointAnswer::State::refused)
      throw std::runtime_error("refused with " + std::to_string(answer.status) + ": " + answer.text);
    times_.add(now_ns() - std::exchange(asker.asked_at, 0));
    ++done_;
    const std::string_view text(reinterpret_cast<const char*>(asker.got.data()), asker.got.size());
    const bool is_last = text.find("Connection: close") != text.npos;
    if (!is_last) begin(index);
  }

  const Options options_;
  RandomPool random_;
  UniqueFd epoll_;
  std::vector<Asker> askers_;
  std::size_t asked_ = 0, done_ = 0;
  Histogram times_;
};

Options parse(int argc, char** argv) {
  Options out;
  for (int i = 1; i < argc; i += 2) {
    const std::string name = argv[i];
    if (i + 1 >= argc) throw std::invalid_argument(kUsage);
    const char* const value = argv[i + 1];
    if (name == "--api")
      out.path = value;
    else if (name == "--count")
      out.count = std::strtoul(value, nullptr, 10);
    else if (name == "--connections")
      out.connections = std::strtoul(value, nullptr, 10);
    else if (name == "--server-pid")
      out.server_pids.push_back(std::atoi(value));
    else if (name == "--cpu")
      out.cpu = std::atoi(value);
    else
      throw std::invalid_argument(kUsage);
  }
  if (out.path.empty() || out.count == 0 || out.connections == 0) throw std::invalid_argument(kUsage);
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const Options options = parse(argc, argv);
    pin(options.cpu);
    return Askers(options).run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "relay_askers: %s\n", error.what());
    return std::string_view(error.what()).starts_with("refused") ? 1 : 2;
  }
}
