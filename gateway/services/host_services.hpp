// What all plugins share of the host, and the face of it that each instance gets.
#pragma once

#include "gateway/plugin/offer.hpp"
#include "gateway/services/fds.hpp"
#include "gateway/services/log.hpp"
#include "gateway/services/metrics.hpp"
#include "gateway/services/sessions.hpp"
#include "gateway/services/values.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse {

/// Shared, since a lane that never returns may use them for as long as the process lives.
struct HostServices {
  std::shared_ptr<Journal> journal;
  std::shared_ptr<SessionTable> sessions = std::make_shared<SessionTable>();
  std::shared_ptr<ValueTable> values = std::make_shared<ValueTable>();
  std::shared_ptr<FdTable> fds = std::make_shared<FdTable>();
};

/// Ids of the interfaces that every instance is offered.
[[nodiscard]] const std::vector<std::string_view>& offered_interfaces();

/// One instance's face of the services.
class HostOffer final : public Offer {
 public:
  HostOffer(const HostServices& services, const std::string& plugin, std::shared_ptr<PluginMetrics> metrics);

  [[nodiscard]] const void* find(std::string_view id) const noexcept override;
  void open_lane(HostLane& lane) override;

 private:
  PluginLog log_;
  std::shared_ptr<PluginMetrics> metrics_;
  PluginSessions sessions_;
  PluginValues values_;
  PluginFds fds_;
};

}  // namespace gatehouse
