// From an arrival to a session's client:
//   1. admit():  what the client says of itself will do; is its session remembered?
//   2. route():  the lane that owns the session's index goes on; a new session is the accepting lane's
//   3. open():   policy, then the session, whose lease of an address is asked for, or renewed
//   4. TunnelSession::let_in(): once that is durable, the client is answered
#include "plugins/packet-tunnel/server/lane.hpp"
#include "plugins/packet-tunnel/server/opening.hpp"

#include <algorithm>

namespace gatehouse::packet_tunnel {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::seconds kSoon{5}, kAtOnce{1};
constexpr int kMostRecycled = 4;     // to win one descriptor
constexpr int kMostUnused = 32;      // of these, that are to be nobody's so far
constexpr int kMostCandidates = 96;  // addresses that somebody else may hold
constexpr std::string_view kSpace = "tunnel-index";

SessionFacts facts_of(const Arrival& arrival, std::string_view id) {
  return {.key = id, .identity = arrival.identity(), .source = arrival.peer().source};
}

}  // namespace

void TunnelLane::admit(Arrival arrival) {
  const auto id = arrival.field(kSessionField);
  if (const auto why = refuse_session_id(id, arrival.identity().empty())) {
    counters.refused_malformed.add();
    return arrival.refuse(*why);
  }
  const auto waiting = std::make_shared<Arrival>(std::move(arrival));
  const auto found =
      Session::find(context_, facts_of(*waiting, *id), finds_, [this, waiting, id = *id](const Error& failure) {
        CompletionScope nobody(context_.completions);
        const auto asked = Session::find(context_, facts_of(*waiting, id), nobody);
        if (failure || !asked) return route(std::move(*waiting), {});
        route(std::move(*waiting), *asked);
      });
  if (!found && found.error() == Errc::pending) return;
  route(std::move(*waiting), found ? std::optional(*found) : std::nullopt);
}

void TunnelLane::route(Arrival arrival, const std::optional<FoundSession>& found) {
  const auto blob = found ? SessionBlob::read(found->blob_version, found->blob) : std::nullopt;
  const std::uint32_t owner = blob ? blob->index % context_.lane->count : context_.lane->index;
  if (owner == context_.lane->index) return open(std::move(arrival), found);
  if (!shared_.arrivals(owner).try_send(std::move(arrival))) {
    counters.refused_full.add();
    arrival.refuse({503, "the gateway is busy", kAtOnce});
  }
}

/// None: policy has refused it, and it has been told.
std::optional<PolicyClient> TunnelLane::ask_policy(Arrival& arrival, std::uint64_t session) {
  const StreamPeer& peer = arrival.peer();
  auto policy = PolicyClient::open(context_, {arrival.listener().id, peer.source, arrival.identity(), session});
  if (policy) return std::move(*policy);
  const Verdict& why = policy.error();
  connections.info(peer.source.address, "client refused",
                   {{"client", peer.to_string()}, {"why", to_text(why.reason)}, {"row", row_text(why)}});
  if (why.reason == Reason::concurrent_sessions) {
    counters.refused_limit.add();
    arrival.refuse({429, "you have too many sessions", kSoon});
  } else {
    counters.refused_admission.add();
    arrival.refuse({403, "you may not use this gateway", {}});
  }
  return {};
}

void TunnelLane::open(Arrival arrival, const std::optional<FoundSession>& found) {
  if (!make_place_for_stream()) {
    counters.refused_full.add();
    budget.ran_short(Resource::descriptors);
    return arrival.refuse({503, "the gateway is full", kSoon});
  }
  std::optional<PolicyClient> policy;
  const auto is_refused = [&](std::uint64_t session) {
    auto judged = ask_policy(arrival, session);
    if (judged) policy.emplace(std::move(*judged));
    return !judged.has_value();
  };
  if (found && is_refused(found->id)) return;  // before anybody is displaced
  const std::string id = *arrival.field(kSessionField);
  SessionFacts facts = facts_of(arrival, id);
  facts.expires = Expiry::at(std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()) +
                             std::chrono::duration_cast<std::chrono::seconds>(settings_->session_idle) + 60s);
  auto session = Session::open(context_, facts);
  if (!session) {
    counters.refused_store.add();
    return arrival.refuse({503, "the gateway can remember no more sessions", kSoon});
  }
  if (!policy || found->id != session->id()) {
    policy.reset();
    if (is_refused(session->id())) {
      if (!session->resumed()) session->end();
      return;
    }
  }
  const auto blob =
      session->resumed() ? SessionBlob::read(session->blob_version(), session->take_blob()) : std::nullopt;
  if (blob && blob->index % context_.lane->count != context_.lane->index) {
    // Two clients have come with one new key, on two lanes, and the other one was faster.
    return arrival.refuse({503, "this session has just begun elsewhere", kAtOnce});
  }
  const bool has_address = blob && blob->index >= prefixes().first_index() && blob->index <= prefixes().last_index();
  if (!has_address) return open_new(std::move(arrival), std::move(*session), std::move(*policy));

  const std::uint32_t index = blob->index;
  SessionBlob kept = *blob;
  if (const IpAddress now_leased = prefixes().v4_address(index); kept.leased != now_leased) {  // another prefix
    static_cast<void>(session->release(kept.leased.to_string()));
    kept.leased = now_leased;
    static_cast<void>(session->keep(SessionBlob::kVersion, kept.write()));
  }
  const Error leased =
      session->lease(kept.leased.to_string(), Session::kWithSession, [this, index](const Error& failure) {
        if (const auto at = sessions_.find(index); at != sessions_.end() && !failure) at->second->let_in();
        if (const auto at = sessions_.find(index); at != sessions_.end() && failure)
          at->second->turn_away({503, "the gateway's store does not take new sessions", kSoon});
      });
  if (leased == Errc::exists) return open_new(std::move(arrival), std::move(*session), std::move(*policy));
  if (leased) {
    counters.refused_store.add();
    return arrival.refuse({503, "the gateway cannot tell whose this address is: " + leased.message(), kSoon});
  }
  counters.sessions_resumed.add();
  auto& place = sessions_[index];
  if (!place) {
    place = std::make_unique<TunnelSession>(*this, kept, std::move(*session));
  } else {
    place->resume_with(std::move(*session));
  }
  place->receive_client(std::move(arrival), std::move(*policy), resolvers_.choose(*settings_, now()));
}

/// Gives the session an address that nobody holds.
void TunnelLane::open_new(Arrival arrival, Session session, PolicyClient policy) {
  Error failure = Errc::exists;
  SessionBlob blob;
  for (int i = 0; i < kMostCandidates && failure == Errc::exists; ++i) {
    const auto index = choose_index();
    if (!index || sessions_.contains(*index) || (i < kMostUnused && shared_.used().contains(*index))) continue;
    blob = {*index, prefixes().v4_address(*index), {}, {}};
    failure = session.keep(SessionBlob::kVersion, blob.write());
    if (failure) break;
    failure = session.lease(blob.leased.to_string(), Session::kWithSession, [this, at = *index](const Error& why) {
      const auto place = sessions_.find(at);
      if (place == sessions_.end()) return;
      if (!why) return place->second->let_in();
      counters.refused_store.add();
      place->second->turn_away({503, "the gateway's store does not take new sessions", kSoon});
    });
  }
  if (failure) {
    (failure == Errc::exists ? counters.refused_address : counters.refused_store).add();
    session.end();
    return arrival.refuse({503,
                           failure == Errc::exists ? "there is no free address"
                                                   : "the gateway's store gives no addresses: " + failure.message(),
                           kSoon});
  }
  if (conntrack_ && shared_.used().contains(blob.index)) {  // what the kernel knows is not of this client
    static_cast<void>(conntrack_->forget(blob.leased));
    if (prefixes().v6()) static_cast<void>(conntrack_->forget(prefixes().v6_address(blob.index)));
  }
  shared_.used().add(blob.index);
  counters.sessions_opened.add();
  auto made = std::make_unique<TunnelSession>(*this, blob, std::move(session));
  TunnelSession& at = *made;
  sessions_[blob.index] = std::move(made);
  at.receive_client(std::move(arrival), std::move(policy), resolvers_.choose(*settings_, now()));
}

/// Of the ranges that this gateway may hand out, at random: one that congruence makes this lane's. None: this time a
/// range was hit that has none of them.
std::optional<std::uint32_t> TunnelLane::choose_index() noexcept {
  std::uint64_t all = 0;
  for (const NumberRange& range : ranges_) all += range.last - range.first + 1;
  if (all == 0) return {};
  random_ ^= random_ << 13;
  random_ ^= random_ >> 7;
  random_ ^= random_ << 17;
  std::uint64_t chosen = random_ % all;
  const std::uint32_t lanes = context_.lane->count, lane = context_.lane->index;
  for (const NumberRange& range : ranges_) {
    const std::uint64_t size = range.last - range.first + 1;
    if (chosen >= size) {
      chosen -= size;
      continue;
    }
    const std::uint64_t number = range.first + chosen;
    const std::uint64_t mine = number - number % lanes + lane;
    if (mine >= range.first && mine <= range.last) return static_cast<std::uint32_t>(mine);
    if (mine < range.first && mine + lanes <= range.last) return static_cast<std::uint32_t>(mine + lanes);
    if (mine > range.last && mine >= lanes + range.first) return static_cast<std::uint32_t>(mine - lanes);
    return {};
  }
  return {};
}

void TunnelLane::use_ranges() {
  ranges_.clear();
  const std::uint64_t first = prefixes().first_index(), last = prefixes().last_index();
  for (const NumberRange& range : Ranges(host()).of(kSpace)) {
    const NumberRange ours{std::max(range.first, first), std::min(range.last, last)};
    if (ours.first <= ours.last) ranges_.push_back(ours);
  }
}

/// The client that was idle for longest, of the source with most, gives way.
bool TunnelLane::make_place_for_stream() {
  const std::size_t share = budget.descriptors();
  if (share <= listeners_.openings()) return false;
  for (int i = 0; i < kMostRecycled && streams() >= share; ++i) {
    SourceClient* const idlest = sources.idlest();
    if (idlest == nullptr) break;
    counters.clients_recycled.add();
    budget.ran_short(Resource::descriptors);
    static_cast<TunnelSession*>(idlest)->disconnect("it made place for a newer client: descriptors are short");
  }
  return streams() < share;
}

}  // namespace gatehouse::packet_tunnel
