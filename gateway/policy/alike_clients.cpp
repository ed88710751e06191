#include "gateway/policy/alike_clients.hpp"

namespace gatehouse {

void AlikeClients::resolve_anew(const PublishedPolicy& policy) noexcept {
  const policy::Snapshot& snapshot = *policy.snapshot;
  standing_ = snapshot.standing_of(client_facts(), facts_.allow_local);
  refused_by_ = snapshot.refuses(standing_.group, client_facts());
  limits_ = &policy.limits(standing_.group);
  const policy::MeterLimits &session = limits_->session, &common = limits_->identity;
  limits_sessions_ = session.any();
  metered_ = session.meters_traffic() || (shared_ && common.meters_traffic());
  counts_destinations_ = session.destinations_per_minute != 0 || (shared_ && common.destinations_per_minute != 0);
  generation_ = snapshot.generation();
}

}  // namespace gatehouse
