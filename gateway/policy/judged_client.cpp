#include "gateway/policy/judged_client.hpp"

namespace gatehouse {

JudgedClient::JudgedClient(Facts facts, std::shared_ptr<policy::Meters> identity)
    : facts_(std::move(facts)), identity_(std::move(identity)), links_(identity_ ? 2 : 1) {
  chain_[0] = {&session_, &session_limits_};
  chain_[1] = {identity_.get(), &identity_limits_};
}

JudgedClient::~JudgedClient() {
  if (!identity_) return;
  for (std::uint64_t left = session_.flows.open(); left > 0; --left) identity_->flows.close();
}

void JudgedClient::resolve_anew(const policy::Snapshot& snapshot) noexcept {
  group_ = snapshot.group_of({facts_.plugin, facts_.listener, facts_.identity, facts_.source});
  const policy::Limits& limits = snapshot.limits(group_);
  session_limits_ = policy::MeterLimits(limits.session);
  identity_limits_ = policy::MeterLimits(limits.identity);
  metered_ = session_limits_.meters_traffic() || (identity_ && identity_limits_.meters_traffic());
  generation_ = snapshot.generation();
}

}  // namespace gatehouse
