#include "gateway/policy/judged_client.hpp"

namespace gatehouse {

JudgedClient::JudgedClient(SnapshotBoard& board, std::shared_ptr<const JudgedFacts> facts,
                           std::shared_ptr<SessionMeters> session, std::shared_ptr<policy::Meters> shared)
    : board_(board),
      facts_(std::move(facts)),
      session_(std::move(session)),
      shared_(std::move(shared)),
      links_(shared_ ? 2 : 1) {
  chain_[0].meters = &session_->meters;
  chain_[1].meters = shared_.get();
  entry_ = board_.enter(*this);
}

JudgedClient::~JudgedClient() {
  board_.leave(entry_);
  while (open_flows_ != 0) close_flow();
  end_session();
}

void JudgedClient::end_session() noexcept {
  if (session_counted_.exchange(false)) session_->leave(*shared_);
}

const policy::Limit* JudgedClient::begin_session(const policy::Limits& limits) {
  if (!shared_) return nullptr;
  const policy::Limit& limit = limits.concurrent_sessions();
  if (!session_->enter(*shared_, limit.or_none())) return &limit;
  session_counted_ = true;
  return nullptr;
}

void JudgedClient::reserve(const policy::Snapshot& snapshot) noexcept {
  const policy::Limits& limits = snapshot.limits(group_in(snapshot));
  session_->meters.destinations.reserve(limits.session.destinations_per_minute.or_none());
  if (shared_) shared_->destinations.reserve(limits.identity.destinations_per_minute.or_none());
}

void JudgedClient::resolve_anew(const PublishedPolicy& policy) noexcept {
  const policy::Snapshot& snapshot = *policy.snapshot;
  standing_ = snapshot.standing_of(facts(), facts_->allow_local);
  refused_by_ = snapshot.refuses(standing_.group, facts());
  const PublishedPolicy::GroupLimits& limits = policy.limits(standing_.group);
  chain_[0].limits = &limits.session;
  chain_[1].limits = &limits.identity;
  metered_ = counts_destinations_ = false;
  for (const policy::MeterLink& link : chain()) {
    metered_ = metered_ || link.limits->meters_traffic();
    counts_destinations_ = counts_destinations_ || link.limits->destinations_per_minute != 0;
  }
  generation_ = snapshot.generation();
}

}  // namespace gatehouse
