// From a demand to an endpoint:
//   1. allocate():        the lane that owns the pair goes on, and its answer comes back
//   2. give():            there is one: policy, and a bind time anew; or
//   3. make():            policy, a session with the VNI as its lease, keys
//   4. became_durable():  once that would survive a crash, whoever asked is told
#include "plugins/geneve-relay/server/lane.hpp"

#include <sodium.h>

#include <algorithm>
#include <utility>

namespace gatehouse::geneve_relay {
namespace {

using namespace std::chrono_literals;
using Cause = AllocationRefusal::Cause;

constexpr std::chrono::seconds kAtOnce{1}, kNotReady{3}, kSoon{5};
constexpr int kMostAsked = 64;               // VNIs that the host is asked about at a time: others may hold them
constexpr std::size_t kMostUnsent = 4096;    // messages that wait for a lane beside its inbox
constexpr Nanoseconds kAskPatience = 5s;     // for another lane's answer: half of a client's
constexpr Nanoseconds kForever = 24h * 365;  // as clients are told
constexpr std::size_t kKeySize = 20;

AllocationRefusal refusal_of(const Verdict& why) {
  if (why.reason == Reason::concurrent_sessions)
    return {Cause::limit, "you have as many endpoints as a traffic rule allows (" + row_text(why) + ")", kSoon};
  return {Cause::denied, "you may not have endpoints of this relay", {}};
}

AllocationRefusal refusal_of(const Error& store) {
  if (store == Errc::limit) return {Cause::full, "the gateway can remember no more sessions", kSoon};
  return {Cause::not_durable, "the gateway's store takes no endpoints: " + store.message(), kSoon};
}

const AllocationRefusal kNoAnswer{Cause::no_answer, "the part of the relay that has the pair is busy: ask again",
                                  kSoon};
const AllocationRefusal kFull{Cause::full, "the relay has most_endpoints of them, and nobody has more than you", kSoon};
const AllocationRefusal kOwnKey{Cause::own_key, "an endpoint is of two clients' keys, and neither is the relay's", {}};

std::string_view name_of(const std::string& identity) {
  return identity.empty() ? "anonymous" : std::string_view(identity);
}

/// By what the host knows the pair's session: long enough that nobody finds another pair of it.
std::string session_key_of(const DiscoPair& pair) {
  std::array<unsigned char, kKeySize> hash;
  const Bytes keys = std::as_bytes(std::span(pair.keys));
  crypto_generichash(hash.data(), hash.size(), reinterpret_cast<const unsigned char*>(keys.data()), keys.size(),
                     nullptr, 0);
  std::string out(2 * kKeySize + 1, '\0');
  sodium_bin2hex(out.data(), out.size(), hash.data(), hash.size());
  out.pop_back();
  return out;
}

}  // namespace

void RelayLane::allocate(AllocationDemand demand, Then then) {
  const std::uint32_t owner = shared_.owner_of(demand.clients);
  if (owner == context_.lane->index) return give(std::move(demand), std::move(then));
  const SlotHandle ticket = asked_.emplace(Asked{demand.clients, then});
  if (send(owner, AllocationAsk{std::move(demand), context_.lane->index, ticket}))
    return void(asked_until_.emplace_back(now() + kAskPatience, ticket));
  asked_.erase(ticket);
  then(kNoAnswer);
}

/// What a full inbox does not take is sent again at the next tick; whoever asks other lanes does not wait for that.
/// False: so much waits for that lane already that this is lost.
bool RelayLane::send(std::uint32_t lane, LaneMessage message) {
  auto boxed = std::make_unique<LaneMessage>(std::move(message));
  auto& unsent = unsent_[lane];
  if (unsent.empty() && shared_.inbox(lane).messages.try_send(std::move(boxed))) return true;
  if (unsent.size() >= kMostUnsent) return false;
  unsent.push_back(std::move(boxed));
  return true;
}

void RelayLane::send_unsent() {
  for (std::uint32_t lane = 0; lane < unsent_.size(); ++lane) {
    auto& unsent = unsent_[lane];
    while (!unsent.empty() && shared_.inbox(lane).messages.try_send(std::move(unsent.front()))) unsent.pop_front();
  }
}

/// A lane that has ended, or hangs, answers nothing.
void RelayLane::give_up_asking() {
  while (!asked_until_.empty() && asked_until_.front().first <= now()) {
    const SlotHandle ticket = asked_until_.front().second;
    asked_until_.pop_front();
    Asked* const asked = asked_.at(ticket);
    if (asked == nullptr) continue;
    const Then then = std::move(asked->then);
    asked_.erase(ticket);
    then(kNoAnswer);
  }
}

void RelayLane::receive_message(std::unique_ptr<LaneMessage> message) {
  if (auto* const ask = std::get_if<AllocationAsk>(message.get())) {
    // An answer that finds no place is lost: nobody waits for it for ever.
    return give(std::move(ask->demand), [this, lane = ask->lane, ticket = ask->ticket](AllocationOutcome outcome) {
      static_cast<void>(send(lane, AllocationAnswer{ticket, std::move(outcome)}));
    });
  }
  auto& answer = std::get<AllocationAnswer>(*message);
  Asked* const asked = asked_.at(answer.ticket);
  const auto* const endpoint = std::get_if<ServerEndpoint>(&answer.outcome);
  const bool is_of_earlier_run = endpoint != nullptr && asked != nullptr && endpoint->clients != asked->clients;
  if (asked == nullptr || is_of_earlier_run) return;
  const Then then = std::move(asked->then);
  asked_.erase(answer.ticket);
  then(std::move(answer.outcome));
}

std::optional<AllocationRefusal> RelayLane::refuse_demand(const AllocationDemand& demand) const {
  if (draining_) return AllocationRefusal{Cause::draining, "the gateway is about to stop", kSoon};
  const auto& [first, second] = demand.clients.keys;
  if (first == second || first == shared_.server() || second == shared_.server()) return kOwnKey;
  if (first.has_small_order() || second.has_small_order()) return kOwnKey;
  if (shared_.addresses().current().empty())
    return AllocationRefusal{Cause::not_ready, "the relay does not know its own addresses yet", kNotReady};
  return {};
}

void RelayLane::give(AllocationDemand demand, Then then) {
  if (serving_again_) {
    demands_.emplace_back(std::move(demand), std::move(then));
    ++context_.pending;
    return;
  }
  if (auto refusal = refuse_demand(demand)) return then(std::move(*refusal));
  auto found = endpoints_.find(demand.clients);
  if (found && !found->session.is_mine()) remove(std::exchange(found, {}), false);  // somebody has ended it
  if (found) return give_again(found, demand, std::move(then));
  if (is_full() && giving_way_to(demand) == nullptr) {
    if (const auto why = refuse_asker(demand, 0)) return then(refusal_of(*why));
    shared_.no_room().begin(now());
    return then(kFull);
  }
  if (const auto lamport_id = lamport_ids_.next()) return make(demand, *lamport_id, std::move(then));
  const Error failure = lamport_ids_.when_ready(
      [this, demand, then](const Error& failed) { failed ? then(refusal_of(failed)) : give(demand, then); });
  if (failure) then(refusal_of(failure));
}

/// Of all lanes together; what one of them has not come to serve again has its
/// place all the same.
bool RelayLane::is_full() const noexcept { return shared_.places_taken() >= settings_->most_endpoints; }

/// A full relay takes from whoever has most, for those who have less: what was idle for longest of this one's. Null:
/// the asker would have as many then. Whoever has most here has most on other lanes, too, as pairs are spread over them
/// by a hash that nobody knows.
RelayEntry* RelayLane::giving_way_to(const AllocationDemand& demand) {
  auto* const idlest = static_cast<RelayEntry*>(askers_.idlest());
  if (idlest == nullptr) return nullptr;
  const EndpointAsker& most = *idlest->asker;
  const std::uint64_t with_this = askers_.clients_of(demand.source.address, demand.identity) + 1;
  return with_this < askers_.clients_of(most.source.address, most.identity) ? idlest : nullptr;
}

void RelayLane::displace(RelayEntry& entry) {
  connections_.info(entry.asker->source.address, "endpoint ended for another one's: the relay is full",
                    {{"vni", std::to_string(entry.endpoint.vni())}, {"identity", name_of(entry.asker->identity)}});
  counters_.displaced.add();
  shared_.no_room().begin(now());
  remove(endpoints_.find(entry.endpoint.vni()), true);
}

/// Why policy does not let this one ask; none: it does. As long as that takes the asker counts as a client.
std::optional<Verdict> RelayLane::refuse_asker(const AllocationDemand& demand, std::uint64_t session) const {
  const auto judged = PolicyClient::open(context_, {demand.listener, demand.source, demand.identity, session});
  if (judged) return {};
  return judged.error();
}

/// What an earlier process left, and policy keeps from being served, is not ended by whoever it keeps from it.
std::optional<Verdict> RelayLane::refuse_remembered(const AllocationDemand& demand, const SessionFacts& facts) const {
  if (shared_.kept(context_.lane->index).empty()) return {};
  CompletionScope nobody_waits(context_.completions);
  const auto found = Session::find(context_, facts, nobody_waits);
  return found ? refuse_asker(demand, found->id) : std::nullopt;
}

/// Whoever may ask for endpoints gets the pair's: what runs on it goes on.
void RelayLane::give_again(EndpointTable::Found found, const AllocationDemand& demand, Then then) {
  if (const auto why = refuse_asker(demand, found->session.id())) return then(refusal_of(*why));
  counters_.extended.add();
  found->endpoint.extend(now());
  found->last_active = now();
  schedule(*found);
  if (found->is_durable) return then(describe(*found));
  waiting_.at(found.handle).askers.push_back(std::move(then));
  ++context_.pending;
}

void RelayLane::make(const AllocationDemand& demand, std::uint64_t lamport_id, Then then) {
  const std::string key = session_key_of(demand.clients);
  const SessionFacts facts{
      .key = key, .identity = demand.identity, .source = demand.source, .blob = {}, .expires = expiry()};
  if (const auto why = refuse_remembered(demand, facts)) return then(refusal_of(*why));
  auto session = Session::open(context_, facts);
  if (session && session->resumed()) {  // an endpoint that is not served; its VNI goes with it
    const auto bytes = session->take_blob();
    const auto kept = RelayBlob::read(session->blob_version(), bytes);
    if (kept && lane_of(kept->vni, context_.lane->count) == context_.lane->index && !endpoints_.find(kept->vni))
      shared_.vnis().remove(kept->vni);
    session->end();
    session = Session::open(context_, facts);
  }
  if (!session) return then(refusal_of(session.error()));
  auto policy = PolicyClient::open(context_, {demand.listener, demand.source, demand.identity, session->id()});
  if (!policy) {
    connections_.info(demand.source.address, "endpoint refused",
                      {{"identity", name_of(demand.identity)},
                       {"why", to_text(policy.error().reason)},
                       {"row", row_text(policy.error())}});
    session->end();
    return then(refusal_of(policy.error()));
  }
  if (is_full()) {
    RelayEntry* const other = giving_way_to(demand);
    if (other == nullptr) {
      session->end();
      shared_.no_room().begin(now());
      return then(kFull);
    }
    displace(*other);
  }
  RelayBlob blob{0, lamport_id, demand.clients, {}, {}};
  if (const auto name = listener_names_.find(demand.listener); name != listener_names_.end())
    blob.listener = name->second;
  const auto vni = lease_vni(*session, blob);
  if (!vni) {
    session->end();
    if (vni.error() != Errc::exists) return then(refusal_of(vni.error()));
    shared_.no_vni().begin(now());
    return then(AllocationRefusal{Cause::full, "there is no free VNI", kSoon});
  }
  const auto made = endpoints_.insert(*vni, RelayEndpoint(*vni, demand.clients, now()), lamport_id,
                                      known_askers_.at({demand.identity, demand.source, demand.listener}),
                                      session->handle(), std::move(*policy));
  made->is_metered = made->policy.limits().metered;
  made->touched = now();
  schedule(*made);
  connections_.info(
      demand.source.address, "endpoint allocated",
      {{"vni", std::to_string(*vni)},
       {"clients", demand.clients.keys[0].to_short_string() + ' ' + demand.clients.keys[1].to_short_string()},
       {"identity", name_of(demand.identity)}});
  count_in(*made);
  counters_.allocated.add();
  waiting_.emplace(made.handle, Waiting{std::move(*session), {std::move(then)}});
  ++context_.pending;
}

/// Errc::exists: all are taken, or so many of those that this gateway takes for free that the next demand goes on.
Result<std::uint32_t> RelayLane::lease_vni(Session& session, RelayBlob& blob) {
  for (int asked = 0; asked < kMostAsked; ++asked) {
    const auto vni = vnis_.next(shared_.vnis());
    if (!vni) break;
    blob.vni = *vni;
    if (const Error failed = session.keep(RelayBlob::kVersion, blob.write())) return failed;
    const Error failed = session.lease("vni:" + std::to_string(*vni), Session::kWithSession,
                                       [this, vni = *vni](const Error& failure) { became_durable(vni, failure); });
    if (!failed) return *vni;
    if (failed != Errc::exists) return failed;
  }
  return Errc::exists;
}

void RelayLane::became_durable(std::uint32_t vni, const Error& failure) {
  const auto found = endpoints_.find(vni);
  if (!found) return;
  const auto askers = take_askers(found.handle);
  if (failure) {
    remove(found, true);
    return answer(askers, refusal_of(failure));
  }
  found->is_durable = true;
  answer(askers, describe(*found));
}

/// Nothing is told of its durability from then on.
std::vector<Allocator::Then> RelayLane::take_askers(SlotHandle endpoint) {
  const auto at = waiting_.find(endpoint);
  if (at == waiting_.end()) return {};
  auto out = std::move(at->second.askers);
  waiting_.erase(at);
  context_.pending -= out.size();
  return out;
}

void RelayLane::answer(const std::vector<Then>& askers, const AllocationOutcome& outcome) {
  for (const Then& then : askers) then(outcome);
}

ServerEndpoint RelayLane::describe(const RelayEntry& entry) const {
  const Nanoseconds steady = settings_->steady_lifetime;
  return {shared_.server(),
          entry.endpoint.clients(),
          entry.lamport_id,
          entry.endpoint.vni(),
          settings_->bind_lifetime,
          steady == Nanoseconds::zero() ? kForever : steady,
          shared_.addresses().current()};
}

}  // namespace gatehouse::geneve_relay
