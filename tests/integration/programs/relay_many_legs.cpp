// Very many endpoints of a relay, all bound: two sockets are the clients of them all, as one socket of a real client is
// for all of its peers.
//
//   relay_many_legs API ADDRESS:PORT COUNT
//
// Once data has passed both ways through each it prints one JSON object: how many there are, and how long that took.
// It keeps the sockets until its stdin ends. Exit 2, with a sentence, when that does not come to be.

#include "plugins/geneve-relay/client/allocation_client.hpp"
#include "plugins/geneve-relay/client/relay_peer.hpp"
#include "plugins/geneve-relay/wire/cryptography.hpp"
#include "plugins/geneve-relay/wire/random_pool.hpp"

#include <gatehouse/base/address.hpp>
#include <gatehouse/base/unique_fd.hpp>

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <iterator>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

namespace {

using namespace gatehouse;
using namespace gatehouse::geneve_relay;
using namespace std::chrono_literals;

constexpr std::size_t kAskers = 16;
constexpr Nanoseconds kForAllocation = 60s, kForHandshakes = 150s, kAgain = 300ms;
constexpr int kSocketBuffer = 8 << 20;

/// Both clients of one endpoint.
struct Pair {
  std::uint32_t vni;
  std::array<RelayPeer, 2> peers;
  std::array<bool, 2> has_heard{};  // data of the other one
};

class ManyLegs {
 public:
  ManyLegs(std::string api, const Endpoint& relay, std::size_t count)
      : api_(std::move(api)), count_(count), near_(DiscoSecret::make(randoms_[0])) {
    for (UniqueFd& fd : fds_) fd = connected_to(relay);
  }

  void run() {
    const SteadyTime began = steady_now();
    allocate();
    const SteadyTime allocated = steady_now();
    bind(allocated + kForHandshakes);
    const auto seconds = [](auto time) { return std::chrono::duration<double>(time).count(); };
    std::printf("{\"endpoints\":%zu,\"allocated_s\":%.2f,\"bound_s\":%.2f}\n", pairs_.size(),
                seconds(allocated - began), seconds(steady_now() - allocated));
    std::fflush(stdout);
  }

 private:
  static UniqueFd connected_to(const Endpoint& relay) {
    UniqueFd out(::socket(relay.address.is_v6() ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    sockaddr_storage address{};
    const unsigned size = relay.to_sockaddr(address);
    if (!out || ::connect(out.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0)
      throw std::runtime_error("no socket to " + relay.to_string());
    ::setsockopt(out.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kSocketBuffer, sizeof kSocketBuffer);
    return out;
  }

  /// Many at a time: each is answered when it is on disk, and the disk takes those that wait together.
  void allocate() {
    std::vector<std::future<std::vector<Pair>>> parts;
    for (std::size_t i = 0; i < kAskers; ++i)
      parts.push_back(std::async(std::launch::async, [this, i] {
        return allocate_some(count_ / kAskers + (i < count_ % kAskers ? 1 : 0), randoms_[i]);
      }));
    for (auto& part : parts) std::ranges::move(part.get(), std::back_inserter(pairs_));
    for (std::size_t i = 0; i < pairs_.size(); ++i) by_vni_[pairs_[i].vni] = i;
  }

  [[nodiscard]] std::vector<Pair> allocate_some(std::size_t count, RandomPool& random) const {
    ClientOptions options;
    options.address = api_;
    const AllocationClient api(options);
    std::vector<Pair> out;
    while (out.size() < count) {
      const DiscoSecret far = DiscoSecret::make(random);
      const DiscoKey keys[] = {near_.public_key(), far.public_key()};
      const ServerEndpoint endpoint =
          api.allocate(DiscoPair(keys[0], keys[1]), WireForm::current, steady_now() + kForAllocation);
      out.push_back({endpoint.vni,
                     {RelayPeer::make(near_, keys[1], endpoint, WireForm::current, random).value(),
                      RelayPeer::make(far, keys[0], endpoint, WireForm::current, random).value()}});
    }
    return out;
  }

  /// Nobody confirms an Answer, so data does: who has heard none is bound anew, with its other.
  void bind(SteadyTime deadline) {
    while (true) {
      const std::size_t left = for_each_unheard([this](Pair& pair, std::size_t leg) {
        pair.peers[leg].begin();
        std::array<std::byte, kLargestHandshake> out;
        send(leg, Bytes(out).first(pair.peers[leg].write_bind(out)));
      });
      if (left == 0) return;
      if (steady_now() > deadline) throw std::runtime_error(std::to_string(left) + " endpoints are not bound");
      receive_for(kAgain);
      for_each_unheard([this](const Pair& pair, std::size_t leg) {
        std::array<std::byte, kGeneveHeaderSize> out;
        pair.peers[leg].write_data_header(out);
        send(leg, out);
      });
      receive_for(kAgain);
    }
  }

  /// For both clients of each endpoint through which data has not passed both ways. @return how many of these there are
  template <class Do>
  std::size_t for_each_unheard(Do act) {
    std::size_t done = 0;
    for (Pair& pair : pairs_) {
      if (pair.has_heard[0] && pair.has_heard[1]) continue;
      for (std::size_t leg = 0; leg < 2; ++leg) act(pair, leg);
      if (++done % 16 == 0) receive();  // so that nobody's queue runs over
    }
    return done;
  }

  void send(std::size_t leg, Bytes datagram) { ::send(fds_[leg].get(), datagram.data(), datagram.size(), 0); }

  void receive_for(Nanoseconds time) {
    for (SteadyTime quiet = steady_now() + time; steady_now() < quiet;) {
      if (receive()) quiet = steady_now() + time;
      ::usleep(1000);
    }
  }

  /// What is there. @return was anything?
  bool receive() {
    std::array<std::byte, 2048> datagram;
    bool out = false;
    for (std::size_t leg = 0; leg < 2; ++leg) {
      ssize_t size = 0;
      while ((size = ::recv(fds_[leg].get(), datagram.data(), datagram.size(), 0)) >= 0) {
        take(leg, Bytes(datagram).first(static_cast<std::size_t>(size)));
        out = true;
      }
    }
    return out;
  }

  void take(std::size_t leg, Bytes datagram) {
    if (datagram.size() < kGeneveHeaderSize) return;
    const auto at = by_vni_.find(read_geneve_header(datagram).vni);
    if (at == by_vni_.end()) return;
    Pair& pair = pairs_[at->second];
    std::array<std::byte, kLargestHandshake> out;
    const auto event = pair.peers[leg].take(datagram, out);
    if (!event) return;
    if (event->kind == PeerEvent::Kind::answer) send(leg, Bytes(out).first(event->size));
    if (event->kind == PeerEvent::Kind::data) pair.has_heard[leg] = true;
  }

  const std::string api_;
  const std::size_t count_;
  std::array<RandomPool, kAskers> randoms_;  // one for each who asks, and then for its peers
  const DiscoSecret near_;
  std::array<UniqueFd, 2> fds_;
  std::vector<Pair> pairs_;
  std::unordered_map<std::uint32_t, std::size_t> by_vni_;
};

}  // namespace

int main(int argc, char** argv) {
  try {
    const auto relay = Endpoint::parse(argc == 4 ? argv[2] : "");
    if (!relay || !prepare_cryptography()) throw std::invalid_argument("usage: relay_many_legs API ADDRESS:PORT COUNT");
    ManyLegs legs(argv[1], *relay, std::strtoul(argv[3], nullptr, 10));
    legs.run();
    while (std::getchar() != EOF) {
    }
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "relay_many_legs: %s\n", error.what());
    return 2;
  }
}
