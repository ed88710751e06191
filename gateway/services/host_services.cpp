#include "gateway/services/host_services.hpp"

#include "gateway/services/clock_random.hpp"
#include "gateway/services/ranges.hpp"

namespace gatehouse {

const std::vector<std::string_view>& offered_interfaces() {
  static const std::vector<std::string_view> kIds = {
      GH_LOG_ID,    GH_METRICS_ID, GH_CLOCK_ID,        GH_RANDOM_ID, GH_POLICY_ID, GH_IDENTITY_ID, GH_SESSIONS_ID,
      GH_VALUES_ID, GH_FDS_ID,     GH_CERTIFICATES_ID, GH_RANGES_ID, GH_BUDGET_ID, GH_NOTICES_ID};
  return kIds;
}

HostOffer::HostOffer(const HostServices& services, const PluginConfig& plugin, std::shared_ptr<PluginMetrics> metrics,
                     std::shared_ptr<const PluginBudget> budget, std::shared_ptr<PluginNotices> notices)
    : log_(services.journal, plugin.name),
      metrics_(std::move(metrics)),
      budget_(std::move(budget)),
      notices_(std::move(notices)),
      sessions_(services.sessions, plugin.name),
      values_(services.values, services.sessions->durability(), plugin.name),
      fds_(services.fds, plugin.name),
      certificates_(services.certificates, services.listener_names, plugin.name),
      identities_(services.user_names, plugin.name,
                  {services.token_failures, services.listener_names, services.journal}),
      policy_(services.policy, services.key_meters,
              {.plugin = plugin.name,
               .allow_local = plugin.allow_local_destinations,
               .listener_names = services.listener_names,
               .sessions = services.sessions,
               .records = services.policy_records,
               .flow_log = services.flow_log,
               .claims = services.place_claims}) {}

const void* HostOffer::find(std::string_view id) const noexcept {
  if (id == GH_LOG_ID) return log_.table();
  if (id == GH_METRICS_ID) return metrics_->table();
  if (id == GH_CLOCK_ID) return clock_table();
  if (id == GH_RANDOM_ID) return random_table();
  if (id == GH_IDENTITY_ID) return identities_.table();
  if (id == GH_SESSIONS_ID) return sessions_.table();
  if (id == GH_VALUES_ID) return values_.table();
  if (id == GH_FDS_ID) return fds_.table();
  if (id == GH_CERTIFICATES_ID) return certificates_.table();
  if (id == GH_RANGES_ID) return ranges_table();
  if (id == GH_BUDGET_ID) return budget_->table();
  if (id == GH_NOTICES_ID) return notices_->table();
  if (id == GH_POLICY_ID) return policy_.table();
  return nullptr;
}

void HostOffer::abandoned() noexcept {
  sessions_.end_own();
  policy_.abandoned();
}

void HostOffer::let_go() noexcept {
  sessions_.let_go();
  values_.let_go();
  identities_.let_go();
  policy_.let_go();
}

void HostOffer::open_lane(HostLane& lane) { lane.policy = policy_.make_lane(); }

}  // namespace gatehouse
