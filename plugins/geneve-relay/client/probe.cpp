// Stages: have an endpoint allocated; bind both clients, each from sockets of its own; until data passes, again; then
// count round trips.
#include "plugins/geneve-relay/client/probe.hpp"

#include "plugins/geneve-relay/client/allocation_client.hpp"
#include "plugins/geneve-relay/client/probe_report.hpp"
#include "plugins/geneve-relay/client/probe_request.hpp"
#include "plugins/geneve-relay/client/round_trips.hpp"
#include "plugins/geneve-relay/wire/cryptography.hpp"
#include "plugins/geneve-relay/wire/random_pool.hpp"

#include <optional>
#include <thread>

namespace gatehouse::geneve_relay {
namespace {

using namespace std::chrono_literals;

constexpr auto kForData = 1s;  // then an Answer may have been lost: the handshakes are done again

class ProbeRun {
 public:
  explicit ProbeRun(const ProbeRequest& request)
      : request_(request), secrets_{DiscoSecret::make(random_), DiscoSecret::make(random_)}, endpoint_(allocate()) {}

  /// @return what it has come to, with `print` called once
  std::string run(const PrintJson& print) {
    const auto addresses = request_.server ? std::span(&*request_.server, 1) : endpoint_.addresses.all();
    if (addresses.empty()) throw std::runtime_error("the relay gave an endpoint without an address; see `advertise`");
    std::array clients{client(0, addresses), client(1, addresses)};
    std::optional<RoundTrips> trips;
    const ProbeStep reached = connect(clients, trips);
    if (reached == ProbeStep::done) trips->run(request_.count, request_.least_size, request_.most_size);
    const ProbeSight sight{endpoint_,      request_.form, allocated_in_, clients, trips ? &*trips : nullptr,
                           request_.count, reached};
    print(write_probe_json(sight));
    return fault_in(sight);
  }

 private:
  /// A relay that has just started may know no address yet, and says when to come again.
  ServerEndpoint allocate() {
    const AllocationClient api(request_.api);
    const DiscoPair keys(secrets_[0].public_key(), secrets_[1].public_key());
    const SteadyTime began = steady_now(), deadline = began + request_.timeout;
    const auto ask = [&] { return api.allocate(keys, request_.form, deadline); };
    const auto timed = [&](const ServerEndpoint& endpoint) {
      allocated_in_ = steady_now() - began;
      return endpoint;
    };
    std::chrono::seconds pause{};
    try {
      return timed(ask());
    } catch (const AllocationRefused& refused) {
      if (refused.retry_after == 0s || steady_now() + refused.retry_after >= deadline) throw;
      pause = refused.retry_after;
    }
    std::this_thread::sleep_for(pause);
    return timed(ask());
  }

  ProbeClient client(std::size_t which, std::span<const Endpoint> addresses) {
    const DiscoKey own = secrets_[which].public_key(), other = secrets_[1 - which].public_key();
    const auto peer = RelayPeer::make(secrets_[which], other, endpoint_, request_.form, random_);
    if (!peer) throw std::runtime_error("the relay's key is none that a relay can have");
    return ProbeClient(*peer, own, addresses);
  }

  ProbeStep connect(std::array<ProbeClient, 2>& clients, std::optional<RoundTrips>& trips) {
    const SteadyTime deadline = steady_now() + request_.timeout;
    while (steady_now() < deadline) {
      // The second is asked only where the first was answered: the wait would be in vain.
      if (!clients[0].handshake(deadline) || !clients[1].handshake(deadline)) break;
      trips.emplace(clients[0], clients[1], random_);
      if (trips->begin(std::min(deadline, steady_now() + kForData))) return ProbeStep::done;
    }
    return trips ? ProbeStep::data : ProbeStep::challenge;
  }

  const ProbeRequest& request_;
  RandomPool random_;
  std::array<DiscoSecret, 2> secrets_;
  Nanoseconds allocated_in_{};
  ServerEndpoint endpoint_;
};

}  // namespace

void run_probe(const std::vector<std::string_view>& arguments, const PrintJson& print) {
  ProbeRequest request;
  try {
    request = read_probe_request(arguments);
    static_cast<void>(AllocationClient(request.api));
  } catch (const std::invalid_argument& wrong) {
    throw std::invalid_argument(std::string(wrong.what()) + "; usage: gatehouse probe geneve-relay " + kProbeUsage);
  }
  if (!prepare_cryptography()) throw std::runtime_error("libsodium does not work here");
  const std::string fault = ProbeRun(request).run(print);
  if (!fault.empty()) throw std::runtime_error(fault);
}

}  // namespace gatehouse::geneve_relay
