#include "gateway/services/host_services.hpp"

#include "gateway/services/clock_random.hpp"
#include "gateway/services/identity.hpp"

namespace gatehouse {

const std::vector<std::string_view>& offered_interfaces() {
  static const std::vector<std::string_view> kIds = {GH_LOG_ID,      GH_METRICS_ID,  GH_CLOCK_ID,  GH_RANDOM_ID,
                                                     GH_IDENTITY_ID, GH_SESSIONS_ID, GH_VALUES_ID, GH_FDS_ID};
  return kIds;
}

HostOffer::HostOffer(const HostServices& services, const std::string& plugin, std::shared_ptr<PluginMetrics> metrics)
    : log_(services.journal, plugin),
      metrics_(std::move(metrics)),
      sessions_(services.sessions, plugin),
      values_(services.values, plugin),
      fds_(services.fds, plugin) {}

const void* HostOffer::find(std::string_view id) const noexcept {
  if (id == GH_LOG_ID) return log_.table();
  if (id == GH_METRICS_ID) return metrics_->table();
  if (id == GH_CLOCK_ID) return clock_table();
  if (id == GH_RANDOM_ID) return random_table();
  if (id == GH_IDENTITY_ID) return identity_table();
  if (id == GH_SESSIONS_ID) return sessions_.table();
  if (id == GH_VALUES_ID) return values_.table();
  if (id == GH_FDS_ID) return fds_.table();
  return nullptr;
}

void HostOffer::open_lane(HostLane&) {}

}  // namespace gatehouse
