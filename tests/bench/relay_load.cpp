// Load for a Geneve/disco relay: both clients of many endpoints in one process, for which one processor is enough.
//
// It has endpoints allocated by the relay's API, binds both clients of each, and proves each with a packet, as nobody
// confirms an Answer. Then it sends from the first client to the second, a burst of one pair after the other, as fast
// as it can or at --rate packets a second; every packet carries pair, trial, sequence and time, and is looked at when
// it comes. Delivered is what comes while it sends; lost is what has not come when nothing came for 0.3 s.
//
// Single sends are sendmmsg of one packet each; --gso 1 sends a burst as one UDP_SEGMENT, and receives with UDP_GRO. Of
// a packet that comes singly only the beginning is copied: the load is not to tire before the server.
// With --server-pid the server's processor time is read from /proc. On loopback and veth the kernel runs the receiver's
// way within the sender's call: that time holds delivery to the client, and not the arrival at the server.
//
// With --flood KIND it sends false handshakes of that kind (false_handshakes.hpp) beside the first pair's packets, in
// the same thread: a trial without, one with a flood to a socket that nobody reads, which is what sending costs the
// load itself, and one with a flood to the relay.
//
// The longest time that a client has heard nothing is told, too, and when the last of all clients was then heard again,
// in seconds of CLOCK_MONOTONIC, and how many hear nothing at the end: for a relay that is killed and starts again
// under the load.
//
// A bare loop (relay_floor) has neither API nor handshake: with --bare the load numbers its VNIs from 1 on, and each
// client makes itself known by the packets that prove it.
//
// One JSON object a trial on stdout; exit 1 when something else came than was sent, 2 when there is no load.

#include "plugins/geneve-relay/client/allocation_client.hpp"
#include "plugins/geneve-relay/wire/cryptography.hpp"
#include "plugins/geneve-relay/wire/random_pool.hpp"
#include "tests/bench/false_handshakes.hpp"
#include "tests/bench/histogram.hpp"
#include "tests/bench/processor.hpp"
#include "tests/bench/relay_leg.hpp"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <future>
#include <iterator>
#include <stdexcept>
#include <string>

namespace {

using namespace gatehouse;
using namespace gatehouse::bench;
using namespace gatehouse::geneve_relay;
using namespace std::chrono_literals;

constexpr const char* kUsage =
    "usage: relay_load --api unix:PATH|HOST:PORT | --bare ADDRESS:PORT [--pairs N] [--form 1] [--size BYTES] [--burst "
    "N] [--gso 1]\n"
    "                  [--both-ways 1] [--rate N (a second; 0: no limit)] [--seconds S] [--warmup S]\n"
    "                  [--server ADDRESS:PORT] [--server-pid PID] [--cpu N]\n"
    "                  [--flood unknown_vni|unknown_key|false_box|replayed_bind] [--flood-rate N] [--flood-ports N]\n"
    "                  [--flood-addresses N] [--flood-gso 1]";
constexpr auto kBindEvery = 300ms, kQuiet = 300ms;
constexpr auto kForHandshakes = 15s, kForAllocation = 10s;

struct Options {
  ClientOptions api;
  std::optional<Endpoint> server;
  bool is_bare = false;  // `server` has neither API nor handshake
  WireForm form = WireForm::current;
  RelayShape shape;
  std::size_t pairs = 1;
  bool goes_both_ways = false;
  double rate = 0, seconds = 3, warmup = 0.5;
  std::vector<int> server_pids;
  int cpu = -1;
  FloodShape flood;
  bool is_flooded = false;
};

std::uint64_t now_ns() { return to_ns(steady_now()); }

class Load {
 public:
  explicit Load(const Options& options) : options_(options), sender_(options.shape), epoll_(::epoll_create1(0)) {
    for (std::size_t i = 0; i < kVector; ++i) {
      parts_[i] = {room_.data() + i * kRoom, options_.shape.is_coalesced ? kRoom : kLooksAt};
      messages_[i].msg_hdr.msg_iov = &parts_[i];
      messages_[i].msg_hdr.msg_iovlen = 1;
    }
    allocate();
    for (std::size_t i = 0; i < legs_.size(); ++i) {
      epoll_event event{EPOLLIN, {.u64 = i}};
      ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, legs_[i].fd(), &event);
    }
  }

  int run() {
    const SteadyTime began = steady_now();
    handshake(began + kForHandshakes);
    handshakes_s_ = std::chrono::duration<double>(steady_now() - began).count();
    trial(options_.warmup);
    bool is_right = try_beside(nullptr);
    if (options_.is_flooded) {
      const FloodSink sink;
      is_right = try_beside(&sink.address()) && is_right;
      is_right = try_beside(&relay_) && is_right;
    }
    return is_right ? 0 : 1;
  }

 private:
  static constexpr std::size_t kVector = 64, kRoom = 65536, kAskers = 32;
  static constexpr std::size_t kLooksAt = 256;  // bytes of a single packet: a handshake, or a stamp
  static_assert(kLooksAt >= kLargestHandshake && kLooksAt >= kLeastRelaySize);
  struct alignas(cmsghdr) Control {
    char bytes[64];
  };
  struct Trial {
    std::uint64_t offered = 0, sent = 0, received = 0, bad = 0, reordered = 0;  // offered: also what was not taken
    std::uint64_t in_time = 0, bytes_in_time = 0, server_ns = 0, load_ns = 0;   // while it was sending
    std::uint64_t bytes = 0, receive_calls = 0;
    std::uint64_t flooded = 0;  // false handshakes
    std::size_t unheard = 0;    // clients that hear nothing any more at the end
    double seconds = 0;
  };

  /// Two clients that nobody has seen yet, and their endpoint.
  struct Pair {
    std::array<DiscoSecret, 2> secrets;
    std::array<DiscoKey, 2> keys;
    ServerEndpoint endpoint;
  };

  void allocate() {
    const SteadyTime began = steady_now();
    for (const Pair& pair : options_.is_bare ? make_up_pairs() : allocate_pairs()) {
      if (pair.endpoint.addresses.empty() && !options_.server)
        throw std::runtime_error("an endpoint without an address");
      const Endpoint relay = options_.server ? *options_.server : pair.endpoint.addresses.all().front();
      if (options_.is_flooded && !flood_) {
        relay_ = relay;
        flood_.emplace(options_.flood, known_of(pair));
      }
      for (std::size_t leg = 0; leg < 2; ++leg)
        legs_.emplace_back(
            RelayPeer::make(pair.secrets[leg], pair.keys[1 - leg], pair.endpoint, options_.form, random_).value(),
            relay, options_.shape.is_coalesced);
      if (options_.is_bare) legs_.back().state = legs_.end()[-2].state = RelayLeg::State::answered;
    }
    allocations_s_ = std::chrono::duration<double>(steady_now() - began).count();
  }

  /// What a flood has seen of its first client.
  [[nodiscard]] KnownEndpoint known_of(const Pair& pair) {
    KnownEndpoint out{pair.endpoint.vni, pair.keys[0], std::vector<std::byte>(kLargestHandshake)};
    RelayPeer client = RelayPeer::make(pair.secrets[0], pair.keys[1], pair.endpoint, options_.form, random_).value();
    client.begin();
    out.bind.resize(client.write_bind(out.bind));
    return out;
  }

  /// For who looks at the VNI only.
  [[nodiscard]] std::vector<Pair> make_up_pairs() {
    const std::array secrets{DiscoSecret::make(random_), DiscoSecret::make(random_)};
    const std::array keys{secrets[0].public_key(), secrets[1].public_key()};
    ServerEndpoint endpoint{};
    endpoint.server = keys[0];
    std::vector<Pair> out;
    for (endpoint.vni = 1; endpoint.vni <= options_.pairs; ++endpoint.vni) out.push_back({secrets, keys, endpoint});
    return out;
  }

  /// Many at a time: each is answered when it is on disk, and the disk takes those that wait together.
  [[nodiscard]] std::vector<Pair> allocate_pairs() const {
    std::vector<std::future<std::vector<Pair>>> parts;
    for (std::size_t i = 0; i < kAskers; ++i)
      parts.push_back(std::async(std::launch::async, [this, i] {
        return allocate_some(options_.pairs / kAskers + (i < options_.pairs % kAskers ? 1 : 0));
      }));
    std::vector<Pair> out;
    for (auto& part : parts) std::ranges::move(part.get(), std::back_inserter(out));
    return out;
  }

  [[nodiscard]] std::vector<Pair> allocate_some(std::size_t count) const {
    const AllocationClient api(options_.api);
    RandomPool random;
    std::vector<Pair> out;
    while (out.size() < count) {
      const std::array secrets{DiscoSecret::make(random), DiscoSecret::make(random)};
      const std::array keys{secrets[0].public_key(), secrets[1].public_key()};
      const ServerEndpoint endpoint =
          api.allocate(DiscoPair(keys[0], keys[1]), options_.form, steady_now() + kForAllocation);
      out.push_back({secrets, keys, endpoint});
    }
    return out;
  }

  // ---- handshakes
  [[nodiscard]] std::size_t count_of(RelayLeg::State least) const {
    return static_cast<std::size_t>(
        std::ranges::count_if(legs_, [&](const RelayLeg& leg) { return leg.state >= least; }));
  }

  void handshake(SteadyTime deadline) {
    while (count_of(RelayLeg::State::proven) < legs_.size()) {
      if (steady_now() > deadline)
        throw std::runtime_error("handshakes: " + std::to_string(count_of(RelayLeg::State::answered)) + " of " +
                                 std::to_string(legs_.size()) + " clients were challenged, data reached " +
                                 std::to_string(count_of(RelayLeg::State::proven)));
      ask_all();
      if (count_of(RelayLeg::State::answered) == legs_.size() && !prove_all()) ask_unproven_again();
    }
  }

  /// In slices, so that nobody's queue runs over.
  template <class Wanted, class Do>
  void for_each_leg(Wanted wanted, Do act) {
    std::size_t done = 0;
    for (std::size_t i = 0; i < legs_.size(); ++i) {
      if (!wanted(i)) continue;
      act(i);
      if (++done % 32 == 0) turn(1);
    }
  }

  void ask_all() {
    for_each_leg([&](std::size_t i) { return legs_[i].state == RelayLeg::State::asking; },
                 [&](std::size_t i) { legs_[i].ask(); });
    const SteadyTime next = steady_now() + kBindEvery;
    while (count_of(RelayLeg::State::answered) < legs_.size() && steady_now() < next) turn(5);
  }

  bool prove_all() {
    for (int round = 0; round < 5 && count_of(RelayLeg::State::proven) < legs_.size(); ++round) {
      for_each_leg([&](std::size_t i) { return legs_[i ^ 1].state != RelayLeg::State::proven; },
                   [&](std::size_t i) { sender_.send(legs_[i], stamp_of(i), 1); });
      for (int i = 0; i < 20 && count_of(RelayLeg::State::proven) < legs_.size(); ++i) turn(2);
    }
    return count_of(RelayLeg::State::proven) == legs_.size();
  }

  /// Whose Answer was lost is not known: either's of the pair.
  void ask_unproven_again() {
    for (std::size_t i = 0; i < legs_.size(); i += 2)
      if (legs_[i].state != RelayLeg::State::proven || legs_[i + 1].state != RelayLeg::State::proven)
        for (RelayLeg* const leg : {&legs_[i], &legs_[i + 1]}) leg->forget();
  }

  [[nodiscard]] RelayStamp stamp_of(std::size_t leg) const {
    return {static_cast<std::uint32_t>(leg / 2), is_trying_ ? number_ : 0, 0, now_ns()};
  }

  // ---- receiving
  /// What is there now, or comes within so many milliseconds. @return packets
  std::size_t turn(int wait_ms) {
    epoll_event events[256];
    const int ready = ::epoll_wait(epoll_.get(), events, 256, wait_ms);
    std::size_t packets = 0;
    for (int i = 0; i < ready; ++i) packets += receive(events[i].data.u64);
    return packets;
  }

  std::size_t receive(std::size_t index) {
    std::size_t packets = 0;
    for (int call = 0; call < 8; ++call) {
      for (std::size_t i = 0; i < kVector; ++i) {
        messages_[i].msg_hdr.msg_control = options_.shape.is_coalesced ? controls_[i].bytes : nullptr;
        messages_[i].msg_hdr.msg_controllen = options_.shape.is_coalesced ? sizeof controls_[i].bytes : 0;
      }
      const int got = ::recvmmsg(legs_[index].fd(), messages_.data(), kVector, MSG_DONTWAIT | MSG_TRUNC, nullptr);
      if (got <= 0) break;
      ++now_.receive_calls;
      const std::uint64_t time = now_ns();
      for (std::size_t i = 0; i < static_cast<std::size_t>(got); ++i) packets += take_buffer(index, i, time);
      if (got < static_cast<int>(kVector)) break;
    }
    return packets;
  }

  std::size_t take_buffer(std::size_t index, std::size_t at, std::uint64_t time) {
    const std::size_t whole = messages_[at].msg_len;  // also where less was copied
    const std::byte* const from = room_.data() + at * kRoom;
    const std::size_t segment = segment_of(messages_[at].msg_hdr, whole);
    std::size_t packets = 0;
    for (std::size_t done = 0; done < whole; ++packets) {
      const std::size_t size = std::min(segment, whole - done);
      take(index, Bytes(from + done, std::min(size, parts_[at].iov_len)), size, time);
      done += size;
    }
    return packets;
  }

  static std::size_t segment_of(msghdr& header, std::size_t whole) {
    for (cmsghdr* one = CMSG_FIRSTHDR(&header); one != nullptr; one = CMSG_NXTHDR(&header, one)) {
      if (one->cmsg_level != SOL_UDP || one->cmsg_type != UDP_GRO) continue;
      int size = 0;
      std::memcpy(&size, CMSG_DATA(one), sizeof size);
      return static_cast<std::size_t>(size);
    }
    return whole;
  }

  /// @param size  of the packet, of which `packet` may be the beginning
  void take(std::size_t index, Bytes packet, std::size_t size, std::uint64_t time) {
    RelayLeg& leg = legs_[index];
    if (packet.size() >= kGeneveHeaderSize && read_geneve_header(packet).control) {
      if (!leg.take_control(packet)) ++now_.bad;
      return;
    }
    const auto stamp = size == options_.shape.size ? read_stamp(packet.subspan(kGeneveHeaderSize)) : std::nullopt;
    if (!stamp || stamp->pair != index / 2) {
      ++now_.bad;
    } else if (stamp->trial == 0) {
      leg.state = RelayLeg::State::proven;
    } else if (is_trying_ && stamp->trial == number_) {
      count(leg, *stamp, size, time);
    }
  }

  void count(RelayLeg& leg, const RelayStamp& stamp, std::size_t size, std::uint64_t time) {
    if (stamp.sequence < leg.highest)
      ++now_.reordered;
    else
      leg.highest = stamp.sequence + 1;
    ++now_.received;
    now_.bytes += size;
    leg.silence.hear(time);
    latencies_.add(time - std::min(time, stamp.time_ns));
  }

  // ---- trials
  /// One whose figures count. @param flooded  where a flood goes to, or null. @return nothing else came than was sent
  bool try_beside(const Endpoint* flooded) {
    is_flooding_ = flooded != nullptr;
    if (flooded != nullptr) flood_->begin(*flooded, now_ns());
    const Trial done = trial(options_.seconds);
    is_flooding_ = false;
    print(done, flooded == nullptr ? "nothing" : flooded == &relay_ ? "the relay" : "a sink");
    return done.bad == 0;
  }

  Trial trial(double seconds) {
    ++number_;
    now_ = Trial{};
    latencies_.clear();
    for (RelayLeg& leg : legs_) RelaySender::restart(leg);
    is_trying_ = true;
    const std::uint64_t server = processor_ns(options_.server_pids), own = processor_ns({::getpid()}), began = now_ns();
    for (RelayLeg& leg : legs_) leg.silence = Silence(began);
    send_until(began, began + static_cast<std::uint64_t>(seconds * 1e9));
    now_.seconds = static_cast<double>(now_ns() - began) / 1e9;
    now_.server_ns = processor_ns(options_.server_pids) - server;
    now_.load_ns = processor_ns({::getpid()}) - own;
    now_.in_time = now_.received;
    now_.bytes_in_time = now_.bytes;
    now_.unheard = count_unheard(now_ns());
    now_.flooded = is_flooding_ ? flood_->sent() : 0;
    for (SteadyTime quiet = steady_now(); steady_now() - quiet < kQuiet;)
      if (turn(20) > 0) quiet = steady_now();
    is_trying_ = false;
    return now_;
  }

  [[nodiscard]] std::size_t count_unheard(std::uint64_t now) const {
    std::size_t out = 0;
    for (std::size_t i = options_.goes_both_ways ? 0 : 1; i < legs_.size(); i += options_.goes_both_ways ? 1 : 2)
      if (std::chrono::nanoseconds(now - legs_[i].silence.heard_at()) > kQuiet) ++out;
    return out;
  }

  void send_until(std::uint64_t began, std::uint64_t end) {
    std::size_t pair = 0, way = 0, bursts = 0;
    for (std::uint64_t now = began; now < end; now = now_ns()) {
      if (is_flooding_) flood_->send_due(now);
      const double due = options_.rate * static_cast<double>(now - began) / 1e9 - static_cast<double>(now_.offered);
      if (options_.rate > 0 && due < static_cast<double>(options_.shape.burst)) {  // whole bursts, at every rate
        turn(0);
        continue;
      }
      const std::size_t from = pair * 2 + way;
      now_.offered += options_.shape.burst;
      now_.sent += sender_.send(legs_[from], stamp_of(from), options_.shape.burst);
      if (++pair == options_.pairs) {
        pair = 0;
        if (options_.goes_both_ways) way ^= 1;
      }
      if (++bursts % 4 == 0) turn(0);
    }
  }

  void print(const Trial& done, const char* flooded) const {
    const double lost = done.sent == 0 ? 0 : 1 - static_cast<double>(done.received) / static_cast<double>(done.sent);
    const auto each = [&](std::uint64_t ns) {
      return done.in_time == 0 ? 0 : static_cast<double>(ns) / static_cast<double>(done.in_time);
    };
    const auto us = [&](double q) { return static_cast<double>(latencies_.quantile(q)) / 1e3; };
    std::printf("{\"pairs\":%zu,\"form\":\"%s\",\"size\":%zu,\"burst\":%zu,\"gso\":%s,\"seconds\":%.3f,",
                options_.pairs, options_.form == WireForm::first ? "1" : "current", options_.shape.size,
                options_.shape.burst, options_.shape.is_coalesced ? "true" : "false", done.seconds);
    std::printf("\"delivered_per_second\":%.0f,\"gbit_per_second\":%.3f,\"sent_per_second\":%.0f,\"loss\":%.5f,",
                static_cast<double>(done.in_time) / done.seconds,
                static_cast<double>(done.bytes_in_time) * 8 / done.seconds / 1e9,
                static_cast<double>(done.sent) / done.seconds, lost);
    std::printf("\"server_cpu_ns_each\":%.0f,\"server_cpu_share\":%.3f,\"load_cpu_share\":%.3f,", each(done.server_ns),
                static_cast<double>(done.server_ns) / 1e9 / done.seconds,
                static_cast<double>(done.load_ns) / 1e9 / done.seconds);
    std::printf("\"latency_us\":{\"p50\":%.1f,\"p99\":%.1f,\"p999\":%.1f},\"reordered\":%llu,\"bad\":%llu,", us(0.5),
                us(0.99), us(0.999), static_cast<unsigned long long>(done.reordered),
                static_cast<unsigned long long>(done.bad));
    std::printf(
        "\"packets_per_receive\":%.1f,\"allocations_seconds\":%.3f,\"handshakes_seconds\":%.3f,",
        done.receive_calls == 0 ? 0 : static_cast<double>(done.received) / static_cast<double>(done.receive_calls),
        allocations_s_, handshakes_s_);
    const RelayLeg& last = *std::ranges::max_element(
        legs_, {}, [](const RelayLeg& leg) { return leg.silence.longest() > 0 ? leg.silence.ended_at() : 0; });
    std::printf("\"silence_ms\":%.1f,\"heard_again\":%.6f,\"unheard\":%zu,",
                static_cast<double>(last.silence.longest()) / 1e6, static_cast<double>(last.silence.ended_at()) / 1e9,
                done.unheard);
    std::printf("\"flooded\":\"%s\",\"flood_per_second\":%.0f}\n", flooded,
                static_cast<double>(done.flooded) / done.seconds);
  }

  const Options options_;
  RandomPool random_;
  std::vector<RelayLeg> legs_;  // of pair i 2i, which sends, and 2i + 1
  RelaySender sender_;
  UniqueFd epoll_;
  std::vector<std::byte> room_ = std::vector<std::byte>(kVector * kRoom);
  std::array<mmsghdr, kVector> messages_{};
  std::array<iovec, kVector> parts_{};
  std::array<Control, kVector> controls_{};
  Histogram latencies_;
  std::optional<Flood> flood_;
  Endpoint relay_;  // of the pair that the flood knows
  Trial now_;
  std::uint32_t number_ = 0;  // of the trial
  bool is_trying_ = false, is_flooding_ = false;
  double allocations_s_ = 0, handshakes_s_ = 0;
};

Options parse(int argc, char** argv) {
  Options out;
  for (int i = 1; i < argc; i += 2) {
    const std::string name = argv[i];
    if (i + 1 >= argc) throw std::invalid_argument(kUsage);
    const char* const value = argv[i + 1];
    const auto number = static_cast<std::size_t>(std::strtoul(value, nullptr, 10));
    if (name == "--api")
      out.api.address = value;
    else if (name == "--server" || name == "--bare")
      out.server = Endpoint::parse(value).value(), out.is_bare = name == "--bare";
    else if (name == "--form")
      out.form = std::string_view(value) == "1" ? WireForm::first : WireForm::current;
    else if (name == "--pairs")
      out.pairs = number;
    else if (name == "--size")
      out.shape.size = number;
    else if (name == "--burst")
      out.shape.burst = number;
    else if (name == "--gso")
      out.shape.is_coalesced = number != 0;
    else if (name == "--both-ways")
      out.goes_both_ways = number != 0;
    else if (name == "--rate")
      out.rate = std::atof(value);
    else if (name == "--seconds")
      out.seconds = std::atof(value);
    else if (name == "--warmup")
      out.warmup = std::atof(value);
    else if (name == "--server-pid")
      out.server_pids.push_back(std::atoi(value));
    else if (name == "--flood") {
      const auto kind = false_handshake_of(value);
      if (!kind) throw std::invalid_argument(kUsage);
      out.flood.kind = *kind;
      out.is_flooded = true;
    } else if (name == "--flood-rate")
      out.flood.rate = std::atof(value);
    else if (name == "--flood-ports")
      out.flood.ports = std::max<std::size_t>(number, 1);
    else if (name == "--flood-addresses")
      out.flood.addresses = std::max<std::size_t>(number, 1);
    else if (name == "--flood-gso")
      out.flood.is_coalesced = number != 0;
    else if (name == "--cpu")
      out.cpu = std::atoi(value);
    else
      throw std::invalid_argument(kUsage);
  }
  if ((out.api.address.empty() && !out.is_bare) || out.pairs == 0) throw std::invalid_argument(kUsage);
  if (out.shape.size < kLeastRelaySize || out.shape.size > 60000) throw std::invalid_argument("--size is 40 to 60000");
  if (out.shape.burst == 0 || out.shape.burst > kMostBurst) throw std::invalid_argument("--burst is 1 to 64");
  return out;
}

/// Two sockets a pair.
void allow_many_files() {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const Options options = parse(argc, argv);
    allow_many_files();
    pin(options.cpu);
    if (!prepare_cryptography()) throw std::runtime_error("libsodium does not work here");
    return Load(options).run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "relay_load: %s\n", error.what());
    return 2;
  }
}
