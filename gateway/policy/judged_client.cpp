#include "gateway/policy/judged_client.hpp"

#include <utility>

namespace gatehouse {

JudgedClient::JudgedClient(std::shared_ptr<AlikeClients> alike, boost::intrusive_ptr<SessionMeters> session)
    : alike_(std::move(alike)), session_(std::move(session)) {
  entry_ = alike_->board().enter(*this);
}

JudgedClient::~JudgedClient() {
  alike_->board().leave(entry_);
  while (open_flows_ != 0) close_flow();
  end_session();
}

void JudgedClient::end_session() noexcept {
  if (is_counted_.exchange(false)) session_->leave(*alike_->shared());
}

const policy::Limit* JudgedClient::begin_session(const policy::Limits& limits) {
  if (alike_->shared() == nullptr) return nullptr;
  const policy::Limit& limit = limits.concurrent_sessions();
  if (!session_->enter(*alike_->shared(), limit.or_none())) return &limit;
  is_counted_ = true;
  return nullptr;
}

bool JudgedClient::reserve(const PublishedPolicy& policy) noexcept {
  const PublishedPolicy::GroupLimits& limits = policy.limits(alike_->group_in(*policy.snapshot));
  if (policy::Meters* const shared = alike_->shared())
    shared->destinations.reserve(limits.identity.destinations_per_minute);
  if (!limits.session.any()) return true;
  policy::Meters* const mine = session_->reserve();
  if (mine != nullptr) mine->destinations.reserve(limits.session.destinations_per_minute);
  return mine != nullptr;
}

/// From now on the session's meters count its flows, too.
void JudgedClient::enter_session() noexcept {
  policy::Meters* const mine = session_->meters();
  if (mine == nullptr) return;
  mine->flows.add(open_flows_);
  is_in_session_ = true;
}

}  // namespace gatehouse
