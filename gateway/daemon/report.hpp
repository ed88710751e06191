// What the gateway reports about itself: state, JSON bodies of the control API, metrics. Control thread.
#pragma once

#include "gateway/daemon/daemon_store.hpp"
#include "gateway/daemon/plugin_set.hpp"
#include "gateway/policy/publisher.hpp"

#include <chrono>
#include <string>
#include <vector>

namespace gatehouse {

/// What a report is made from.
struct ReportSources {
  const PluginSet& plugins;
  const HostServices& services;
  const PolicyPublisher& policy;
  const DaemonStore& store;
  bool draining = false;
  std::chrono::system_clock::time_point started_at;
};

/// "ok", "degraded", "draining" or "failed", and why, as sentences.
struct GatewayState {
  std::string name;
  std::vector<std::string> reasons;
};
[[nodiscard]] GatewayState gateway_state(const ReportSources& from);

/// How many threads of plugins were given up, as sentences.
[[nodiscard]] std::vector<std::string> abandoned_reasons(const PluginSet& plugins);

/// {state, reasons, started_at, plugins, policy, store, log, flow_log}
[[nodiscard]] std::string status_json(const ReportSources& from);
/// {plugins: [{name, id, version, summary, license, file, sha256, options}]} of those that are loaded
[[nodiscard]] std::string plugins_json(const PluginSet& plugins);
/// {error, problems}: why nothing was changed
[[nodiscard]] std::string problems_json(const std::string& error, const std::vector<ConfigProblem>& problems);

/// OpenMetrics text.
[[nodiscard]] std::string metrics_text(const ReportSources& from);

}  // namespace gatehouse
