#include "plugins/geneve-relay/allocation/sealed_allocation.hpp"

#include "plugins/geneve-relay/wire/disco_envelope.hpp"

#include <algorithm>

namespace gatehouse::geneve_relay {
namespace {

constexpr std::size_t kLeastRequest = kEnvelopeOverhead + kAllocationRequestSize;
constexpr std::size_t kMostRequest = kEnvelopeOverhead + kLargestControlMessage;
constexpr std::string_view kFaultNames[] = {"size", "key", "limit", "replay", "box", "message", "pair"};

/// How many addresses an answer has room for. One at least, as it would not be read without.
constexpr std::size_t room_for_addresses(std::size_t request) noexcept {
  return (SealedAllocation::kMostAnswered * request - kEnvelopeOverhead - kLeastResponse) / kAddressPortSize;
}
static_assert(room_for_addresses(kLeastRequest) >= 2, "one of each family");

}  // namespace

SealedAllocation::SealedAllocation(const LaneContext& context, Allocator& allocator, const DiscoSecret& secret,
                                   RandomSource& nonces, Send send)
    : context_(context),
      allocator_(allocator),
      secret_(secret),
      own_(secret.public_key()),
      nonces_(nonces),
      send_(std::move(send)),
      identities_(context),
      metrics_(context, "disco"),
      sources_(kRateOfSource, kBurstOfSource) {
  static_assert(std::size(kFaultNames) == kFaults);
  for (std::size_t i = 0; i < kFaults; ++i)
    dropped_[i] =
        context.host.counter(context.lane, "sealed_requests_dropped",
                             "Sealed requests for an endpoint that were not answered.", {{"cause", kFaultNames[i]}});
}

void SealedAllocation::take(Bytes datagram, const LegAddress& path, std::uint32_t listener) {
  auto question = read(datagram, path, listener);
  if (!question) return dropped_[static_cast<std::size_t>(question.error())].add();
  ++waiting_;
  allocator_.allocate({question->clients, std::move(question->identity), path.remote, listener},
                      [this, alive = std::weak_ptr(alive_), asker = question->asker](const AllocationOutcome& outcome) {
                        if (!alive.expired()) answer(asker, outcome);
                      });
}

SealedAllocation::OrFault<SealedAllocation::Question> SealedAllocation::read(Bytes datagram, const LegAddress& path,
                                                                             std::uint32_t listener) {
  if (datagram.size() < kLeastRequest || datagram.size() > kMostRequest) return SealedFault::size;
  const auto envelope = read_envelope(datagram);
  if (!envelope) return SealedFault::size;
  auto identity = identities_.find(CredentialKind::relay_key, envelope->sender.to_hex());
  if (!identity) return SealedFault::key;
  const SteadyTime now = context_.loop.now();
  if (waiting_ >= kMostWaiting || sources_.take(path.remote.address, now) != Nanoseconds(0)) return SealedFault::limit;
  auto attempt = false_boxes_.attempt(envelope->sender, 0, path.remote.address);
  const std::uint64_t cost = keys_.find(envelope->sender) == nullptr ? kCostOfNewKey : 1;
  if (!attempt.may_cost(kFalseBoxesOfKey, cost, now)) return SealedFault::limit;
  if (seen_.has(envelope->nonce)) return SealedFault::replay;
  const auto key = known(envelope->sender, attempt.is_familiar());
  if (!key) return key.error();

  std::array<std::byte, kLargestControlMessage> message;
  if (boxes_.take(to_ns(now), 1, kBoxesOfLane, kBoxesOfLane) != 0) return SealedFault::limit;
  const auto opened = open_envelope(*envelope, (*key)->shared, message);
  if (!opened) {
    attempt.charge(kFalseBoxesOfKey, cost, now);
    return SealedFault::box;
  }
  attempt.remember();
  seen_.add(envelope->nonce);
  (*key)->opened_at = now;
  if ((*key)->requests.take(to_ns(now), 1, kRateOfKey, kBurstOfKey) != 0) return SealedFault::limit;
  const auto request = read_allocation_request(*opened);
  if (!request) return SealedFault::message;
  const auto& clients = request->clients;
  if (clients[0] == clients[1] || std::ranges::find(clients, envelope->sender) == clients.end())
    return SealedFault::pair;
  return Question{{(*key)->shared, path, listener, request->generation, datagram.size()},
                  DiscoPair(clients[0], clients[1]),
                  std::move(*identity)};
}

/// What is shared with a key is computed once, whoever spoke in its name: where it was, nobody's flood of false boxes
/// in other names keeps its owner from asking.
SealedAllocation::OrFault<AskerKey*> SealedAllocation::known(const DiscoKey& sender, bool is_familiar) noexcept {
  if (AskerKey* const key = keys_.find(sender)) return key;
  Gcra& limit = new_keys_[is_familiar ? 1 : 0];
  if (limit.take(to_ns(context_.loop.now()), 1, kNewKeysOfLane, kNewKeysOfLane) != 0) return SealedFault::limit;
  const auto shared = SharedKey::make(sender, secret_);
  if (!shared) return SealedFault::key;
  return &keys_.add(sender, *shared);
}

void SealedAllocation::answer(const Asker& asker, const AllocationOutcome& outcome) {
  --waiting_;
  metrics_.count(outcome);
  const auto* const endpoint = std::get_if<ServerEndpoint>(&outcome);
  if (endpoint == nullptr) return;
  std::array<std::byte, kLargestEndpointMessage> message;
  ServerEndpoint told = *endpoint;
  told.addresses = told.addresses.some(room_for_addresses(asker.size));
  const std::size_t size = write_allocation_response(message, {asker.generation, told});
  std::array<std::byte, kLargestAnswer> sealed;
  const std::size_t whole = seal_envelope(sealed, own_, asker.shared, nonces_, Bytes(message).first(size));
  send_(Bytes(sealed).first(whole), asker.path, asker.listener);
}

}  // namespace gatehouse::geneve_relay
