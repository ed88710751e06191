// What all plugins share of the host, and the face of it that each instance gets.
#pragma once

#include <gatehouse/base/clock.hpp>

#include "gateway/base/offer.hpp"
#include "gateway/config/config.hpp"
#include "gateway/services/budgets.hpp"
#include "gateway/services/certificates.hpp"
#include "gateway/services/fds.hpp"
#include "gateway/services/identity.hpp"
#include "gateway/services/listener_names.hpp"
#include "gateway/services/log.hpp"
#include "gateway/services/metrics.hpp"
#include "gateway/services/notices.hpp"
#include "gateway/services/policy.hpp"
#include "gateway/services/sessions.hpp"
#include "gateway/services/values.hpp"

#include <atomic>
#include <memory>
#include <string_view>
#include <vector>

namespace gatehouse {

/// Shared, since a lane that never returns may use them for as long as the process lives.
struct HostServices {
  std::shared_ptr<Journal> journal;
  /// lane_timeout_seconds: how long a plugin may be silent.
  std::shared_ptr<std::atomic<Nanoseconds>> plugin_timeout =
      std::make_shared<std::atomic<Nanoseconds>>(std::chrono::seconds(10));
  std::shared_ptr<SessionTable> sessions = std::make_shared<SessionTable>();
  std::shared_ptr<ValueTable> values = std::make_shared<ValueTable>(sessions->durability());
  std::shared_ptr<FdTable> fds = std::make_shared<FdTable>();
  std::shared_ptr<CertificateTable> certificates = std::make_shared<CertificateTable>();
  std::shared_ptr<ListenerNames> listener_names = std::make_shared<ListenerNames>();
  std::shared_ptr<UserNames> user_names = std::make_shared<UserNames>();
  std::shared_ptr<TokenFailures> token_failures = std::make_shared<TokenFailures>();
  std::shared_ptr<KeyMeters> key_meters = std::make_shared<KeyMeters>();
  std::shared_ptr<LaneRecords> policy_records = std::make_shared<LaneRecords>();
  std::shared_ptr<FlowLog> flow_log = std::make_shared<FlowLog>();
  std::shared_ptr<PlaceClaims> place_claims = std::make_shared<PlaceClaims>();
  /// Denies everything until the publisher's board takes its place.
  std::shared_ptr<SnapshotBoard> policy = std::make_shared<SnapshotBoard>(policy::Snapshot::without_policy(0));
};

/// Ids of the interfaces that every instance is offered.
[[nodiscard]] const std::vector<std::string_view>& offered_interfaces();

/// One instance's face of the services.
class HostOffer final : public Offer {
 public:
  HostOffer(const HostServices& services, const PluginConfig& plugin, std::shared_ptr<PluginMetrics> metrics,
            std::shared_ptr<const PluginBudget> budget, std::shared_ptr<PluginNotices> notices);

  [[nodiscard]] const void* find(std::string_view id) const noexcept override;
  void open_lane(HostLane& lane) override;
  void close_untaken() noexcept override { fds_.close_untaken(); }
  void lanes_returned() override { sessions_.free_lanes(); }
  void abandoned() noexcept override;
  void let_go() noexcept override;

 private:
  PluginLog log_;
  std::shared_ptr<PluginMetrics> metrics_;
  std::shared_ptr<const PluginBudget> budget_;
  std::shared_ptr<PluginNotices> notices_;
  PluginSessions sessions_;
  PluginValues values_;
  PluginFds fds_;
  PluginCertificates certificates_;
  PluginIdentities identities_;
  PluginPolicy policy_;
};

}  // namespace gatehouse
