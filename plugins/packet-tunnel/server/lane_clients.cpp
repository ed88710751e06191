// From an arrival to a session's client:
//   1. admit():  what the client says of itself will do; is its session remembered?
//   2. route():  the lane that owns the session's index goes on; a new session is the accepting lane's, if that has an
//                index for it, else another one's
//   3. open():   policy, then the session, whose lease of an address is asked for, or renewed
//   4. TunnelSession::let_in(): once that is durable, the client is answered
#include "plugins/packet-tunnel/server/lane.hpp"
#include "plugins/packet-tunnel/server/opening.hpp"

#include <algorithm>

namespace gatehouse::packet_tunnel {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::seconds kSoon{5}, kAtOnce{1};
constexpr int kMostRecycled = 4;   // to win one descriptor
constexpr int kMostUnused = 32;    // indexes that are to be nobody's so far
constexpr int kMostByChance = 64;  // with these; then one after the other, for where few are free
constexpr int kMostLooks = 1024;   // with these
constexpr int kMostAsked = 96;     // of these that the host is asked about: somebody else may hold them
constexpr std::string_view kSpace = "tunnel-index";

SessionFacts facts_of(const Arrival& arrival, std::string_view id) {
  return {.key = id, .identity = arrival.identity(), .source = arrival.peer().source};
}

}  // namespace

void TunnelLane::admit(Newcomer newcomer) {
  if (draining_) {
    counters.refused_draining.add();
    return newcomer.arrival.refuse({503, "the gateway is about to stop", kSoon});
  }
  const auto id = newcomer.arrival.field(kSessionField);
  if (const auto why = refuse_session_id(id, newcomer.arrival.identity().empty())) {
    counters.refused_malformed.add();
    return newcomer.arrival.refuse(*why);
  }
  const auto waiting = std::make_shared<Newcomer>(std::move(newcomer));
  const auto found =
      Session::find(context_, facts_of(waiting->arrival, *id), finds_, [this, waiting, id = *id](const Error& failure) {
        CompletionScope nobody(context_.completions);
        const auto asked = Session::find(context_, facts_of(waiting->arrival, id), nobody);
        if (failure || !asked) return route(std::move(*waiting), {});
        route(std::move(*waiting), *asked);
      });
  if (!found && found.error() == Errc::pending) return;
  route(std::move(*waiting), found ? std::optional(*found) : std::nullopt);
}

void TunnelLane::route(Newcomer newcomer, const std::optional<FoundSession>& found) {
  const auto blob = found ? SessionBlob::read(found->blob_version, found->blob) : std::nullopt;
  const std::uint32_t owner = blob ? blob->index % context_.lane->count : context_.lane->index;
  if (owner == context_.lane->index) return open(std::move(newcomer), found);
  send_to(owner, std::move(newcomer));
}

void TunnelLane::send_to(std::uint32_t lane, Newcomer newcomer) {
  if (shared_.arrivals(lane).try_send(std::move(newcomer))) return;
  counters.refused_full.add();
  newcomer.arrival.refuse({503, "the gateway is busy", kAtOnce});
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

void TunnelLane::open(Newcomer newcomer, const std::optional<FoundSession>& found) {
  Arrival& arrival = newcomer.arrival;
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
  if (blob && !has_address) static_cast<void>(session->release(blob->leased.to_string()));
  if (!has_address) return open_new(std::move(newcomer), std::move(*session), std::move(*policy));

  const std::uint32_t index = blob->index;
  SessionBlob kept = *blob;
  const IpAddress now_leased = prefixes().v4_address(index);
  const bool keeps_addresses = kept.leased == now_leased;
  if (!keeps_addresses) {  // another prefix
    static_cast<void>(session->release(kept.leased.to_string()));
    kept.leased = now_leased;
    static_cast<void>(session->keep(SessionBlob::kVersion, kept.write()));
  }
  const Error leased =
      session->lease(kept.leased.to_string(), Session::kWithSession, [this, index](const Error& failure) {
        const auto at = sessions_.find(index);
        if (at == sessions_.end()) return;
        failure ? at->second->refuse_address() : at->second->let_in();
      });
  if (leased == Errc::exists) return open_new(std::move(newcomer), std::move(*session), std::move(*policy));
  if (leased) {
    counters.refused_store.add();
    return arrival.refuse({503, "the gateway cannot tell whose this address is: " + leased.message(), kSoon});
  }
  counters.sessions_resumed.add();
  auto& place = sessions_[index];
  if (!place) {
    place = std::make_unique<TunnelSession>(*this, kept, std::move(*session), keeps_addresses);
  } else {
    place->resume_with(std::move(*session));
  }
  place->receive_client(std::move(arrival), std::move(*policy), resolvers_.choose(*settings_, now()));
}

/// Gives the session an address that nobody holds: of this lane, of another one, or one that is taken from who waits.
void TunnelLane::open_new(Newcomer newcomer, Session session, PolicyClient policy) {
  Arrival& arrival = newcomer.arrival;
  SessionBlob blob;
  Error failure = take_free_index(session, blob);
  if (failure == Errc::exists) {
    if (++newcomer.full_lanes < context_.lane->count) {
      session.end();
      static_cast<void>(PolicyClient(std::move(policy)));  // it would be counted twice
      return send_to((context_.lane->index + 1) % context_.lane->count, std::move(newcomer));
    }
    if (const auto index = recycle_session(arrival)) failure = take_index(*index, session, blob);
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
  auto made = std::make_unique<TunnelSession>(*this, blob, std::move(session), false);
  TunnelSession& at = *made;
  sessions_[blob.index] = std::move(made);
  at.receive_client(std::move(arrival), std::move(policy), resolvers_.choose(*settings_, now()));
}

/// Errc::exists: all are taken, as far as kMostLooks show. Then `blob` says what the session has.
Error TunnelLane::take_free_index(Session& session, SessionBlob& blob) {
  Error failure = Errc::exists;
  std::optional<std::uint32_t> index;
  for (int looks = 0, asked = 0; looks < kMostLooks && asked < kMostAsked && failure == Errc::exists; ++looks) {
    index = index && looks >= kMostByChance ? indexes_.after(*index) : indexes_.any();
    const bool is_taken = !index || sessions_.contains(*index);
    if (is_taken || (looks < kMostUnused && shared_.used().contains(*index))) continue;
    ++asked;
    failure = take_index(*index, session, blob);
  }
  return failure;
}

/// Leases it, if it is free.
Error TunnelLane::take_index(std::uint32_t index, Session& session, SessionBlob& blob) {
  blob = {index, prefixes().v4_address(index), {}, {}};
  if (const Error failure = session.keep(SessionBlob::kVersion, blob.write())) return failure;
  return session.lease(blob.leased.to_string(), Session::kWithSession, [this, index](const Error& why) {
    const auto place = sessions_.find(index);
    if (place == sessions_.end()) return;
    why ? place->second->refuse_address() : place->second->let_in();
  });
}

/// Ends the session that waits for its client for longest, of the source with most of these, and gives its index away.
/// None: no source has more sessions than the newcomer's, so that nobody gets a place by opening many.
std::optional<std::uint32_t> TunnelLane::recycle_session(const Arrival& newcomer) {
  auto* const idlest = static_cast<TunnelSession*>(waiting_.idlest());
  if (idlest == nullptr) return {};
  const auto sessions_of = [this](const Endpoint& source, const std::string& identity) {
    return sources.clients_of(source.address, identity) + waiting_.clients_of(source.address, identity);
  };
  if (sessions_of(idlest->source(), idlest->identity()) <= sessions_of(newcomer.peer().source, newcomer.identity()))
    return {};
  const std::uint32_t index = idlest->index();
  connections.info(idlest->source().address, "session ended for a newer one",
                   {{"address", prefixes().v4_address(index).to_string()}, {"why", "there is no free address"}});
  counters.sessions_recycled.add();
  idlest->end();
  waiting_.remove(*idlest);
  const auto at = sessions_.find(index);
  recycled_.push_back(std::move(at->second));
  sessions_.erase(at);
  return index;
}

void TunnelLane::use_ranges() {
  const std::uint64_t first = prefixes().first_index(), last = prefixes().last_index();
  std::vector<NumberRange> ours;
  for (const NumberRange& range : Ranges(host()).of(kSpace))
    if (const NumberRange both{std::max(range.first, first), std::min(range.last, last)}; both.first <= both.last)
      ours.push_back(both);
  indexes_.use(std::move(ours));
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
