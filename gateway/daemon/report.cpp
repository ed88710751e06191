#include "gateway/daemon/report.hpp"

#include "gateway/base/openmetrics.hpp"
#include "gateway/base/printable.hpp"
#include "gateway/base/utc_time.hpp"
#include "gateway/policy/unbound_limits.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstddef>

namespace gatehouse {
namespace {

using Json = nlohmann::ordered_json;

std::string timestamp(std::chrono::system_clock::time_point time) { return rfc3339(unix_seconds(time)); }

std::string text(const Json& body) { return printable_json(body.dump(-1, ' ', false, Json::error_handler_t::replace)); }

Json lanes_json(const ConfiguredPlugin& plugin) {
  Json out = Json::array();
  for (const LaneStatus& lane : plugin.lanes()) {
    out.push_back({{"lane", lane.index},
                   {"running", lane.running},
                   {"cpu", lane.cpu},
                   {"cpu_seconds", std::chrono::duration<double>(lane.cpu_time).count()}});
  }
  return out;
}

/// With the innermost functions only: the log has all of them.
Json hung_json(const ConfiguredPlugin& plugin) {
  constexpr std::size_t kMostFrames = 12;
  Json out = Json::array();
  for (const Hung& one : plugin.hung()) {
    const auto end = one.stack.begin() + static_cast<std::ptrdiff_t>(std::min(one.stack.size(), kMostFrames));
    out.push_back({{"what", one.what}, {"stack", std::vector<std::string>(one.stack.begin(), end)}});
  }
  return out;
}

/// Those that do not degrade the gateway: the others are among its reasons.
Json notes_json(const ConfiguredPlugin& plugin) {
  Json out = Json::array();
  for (const PluginNotices::Notice& notice : plugin.notices())
    if (!notice.degrades) out.push_back(notice.sentence);
  return out;
}

Json plugin_json(const ConfiguredPlugin& plugin, const SessionTable& sessions) {
  Json listeners = Json::array();
  for (const auto& listener : plugin.settings().listeners) {
    listeners.push_back({{"role", listener->role()}, {"address", listener->reachable()}});
  }
  return {{"name", plugin.name()},
          {"id", plugin.loaded().manifest->id},
          {"version", plugin.loaded().manifest->version},
          {"state", plugin.state_name()},
          {"failure", plugin.failure()},
          {"restarts", plugin.restarts()},
          {"pending", plugin.pending()},
          {"sessions", sessions.count(plugin.name())},
          {"allow_local_destinations", plugin.settings().config.allow_local_destinations},
          {"listeners", std::move(listeners)},
          {"lanes", lanes_json(plugin)},
          {"notes", notes_json(plugin)},
          {"hung", hung_json(plugin)}};
}

/// What it is, with its options but for what is secret.
Json manifest_json(const ConfiguredPlugin& plugin) {
  const gh_manifest& manifest = *plugin.loaded().manifest;
  const Json schema = Json::parse(manifest.options_schema, nullptr, false);
  Json options = Json::parse(plugin.settings().options, nullptr, false);
  for (auto& [name, value] : options.items()) {
    const bool secret = schema.value(Json::json_pointer("/properties/" + name + "/x-secret"), false);
    if (secret) value = "(secret)";
  }
  return {{"name", plugin.name()},
          {"id", manifest.id},
          {"version", manifest.version},
          {"summary", manifest.summary},
          {"license", manifest.license == nullptr ? "" : manifest.license},
          {"state", plugin.state_name()},
          {"file", plugin.loaded().file.original.string()},
          {"sha256", plugin.loaded().file.sha256},
          {"options", std::move(options)}};
}

Json policy_json(const ReportSources& from) {
  PolicyStatus policy = from.policy.status();
  const auto snapshot = from.services.policy->current();
  for (const auto& plugin : from.plugins.plugins())
    for (const std::string& sentence : unbound_limits(*snapshot, plugin->settings().config))
      policy.notes.push_back("policy: " + sentence);
  Json problems = Json::array();
  for (const policy::Problem& problem : policy.problems) {
    problems.push_back({{"table", problem.table}, {"row", problem.row}, {"problem", problem.sentence}});
  }
  Json lists = Json::array();
  for (const ListStatus& list : policy.lists) {
    lists.push_back({{"row", list.row},
                     {"name", list.name},
                     {"state", list.state},
                     {"names", list.names},
                     {"bytes", list.bytes},
                     {"file", list.file}});
  }
  return {{"generation", policy.generation},
          {"revision", policy.revision},
          {"readable", policy.has_policy},
          {"source", policy.source},
          {"last_good", policy.last_good ? Json(rfc3339(*policy.last_good)) : Json(nullptr)},
          {"notes", policy.notes},
          {"lists", std::move(lists)},
          {"problems", std::move(problems)}};
}

Json flow_log_json(const FlowLog::Status& flows) {
  return {{"file", flows.file.string()}, {"lines", flows.lines}, {"lost", flows.lost}, {"failure", flows.failure}};
}

}  // namespace

std::vector<std::string> abandoned_reasons(const PluginSet& plugins) {
  std::vector<std::string> out;
  const unsigned lanes = plugins.abandoned_lanes(), calls = plugins.abandoned_calls();
  if (lanes > 0) out.push_back("lanes that never returned: " + std::to_string(lanes));
  if (calls > 0) out.push_back("calls of plugins that never returned: " + std::to_string(calls));
  return out;
}

GatewayState gateway_state(const ReportSources& from) {
  GatewayState out{"ok", from.policy.status().reasons};
  bool failed = false;
  for (const auto& plugin : from.plugins.plugins()) {
    using State = ConfiguredPlugin::State;
    for (const std::string& reason : plugin->budget().reasons(steady_now()))
      out.reasons.push_back("the plugin " + plugin->name() + " runs short: " + reason);
    for (const PluginNotices::Notice& notice : plugin->notices())
      if (notice.degrades) out.reasons.push_back("the plugin " + plugin->name() + ": " + notice.sentence);
    failed = failed || plugin->state() == State::quarantined;
    if (plugin->state() == State::running || (from.draining && plugin->failure().empty())) continue;
    out.reasons.push_back("the plugin " + plugin->name() + " is " + std::string(plugin->state_name()) +
                          (plugin->failure().empty() ? "" : ": " + plugin->failure()));
  }
  for (const std::string& reason : abandoned_reasons(from.plugins)) {
    out.reasons.push_back(reason + "; restart the gateway");
  }
  for (std::string& reason : store_reasons(from.store.facts(), from.store.believed_now()))
    out.reasons.push_back(std::move(reason));
  for (std::string& reason : from.plugins.certificates().reasons(unix_now())) out.reasons.push_back(std::move(reason));
  if (const FlowLog::Status flows = from.services.flow_log->status(); !flows.failure.empty()) {
    out.reasons.push_back("flow_log: " + flows.failure);
  }
  if (from.draining) {
    out.name = "draining";
  } else if (failed) {
    out.name = "failed";
  } else if (!out.reasons.empty()) {
    out.name = "degraded";
  }
  return out;
}

std::string status_json(const ReportSources& from) {
  const GatewayState state = gateway_state(from);
  Json plugins = Json::array();
  for (const auto* const all : {&from.plugins.plugins(), &from.plugins.leaving()})
    for (const auto& plugin : *all) plugins.push_back(plugin_json(*plugin, *from.services.sessions));
  return text({{"state", state.name},
               {"reasons", state.reasons},
               {"started_at", timestamp(from.started_at)},
               {"plugins", std::move(plugins)},
               {"policy", policy_json(from)},
               {"store", store_json(from.store.facts())},
               {"log", {{"lines_dropped", from.services.journal->dropped()}}},
               {"flow_log", flow_log_json(from.services.flow_log->status())}});
}

std::string plugins_json(const PluginSet& plugins) {
  Json rows = Json::array();
  for (const auto* const all : {&plugins.plugins(), &plugins.leaving()})
    for (const auto& plugin : *all) rows.push_back(manifest_json(*plugin));
  return text({{"plugins", std::move(rows)}});
}

std::string problems_json(const std::string& error, const std::vector<ConfigProblem>& problems) {
  Json sentences = Json::array();
  for (const ConfigProblem& problem : problems) sentences.push_back(problem.to_string());
  return text({{"error", error}, {"problems", std::move(sentences)}});
}

namespace {

void write_limiter_metrics(const KeyMeters& meters, OpenMetrics& out) {
  for (const auto& [kind, name] :
       {std::pair{KeyMeters::Kind::identity, "identity"}, std::pair{KeyMeters::Kind::source, "source"}}) {
    const KeyMeters::Counts counts = meters.counts(kind);
    out.gauge("gatehouse_policy_limiter_keys", "Identities and source networks whose limits are remembered.",
              {{"kind", name}}, static_cast<std::int64_t>(counts.keys));
    out.counter("gatehouse_policy_limiter_evictions", "Keys that were forgotten to make place for others.",
                {{"kind", name}}, counts.evictions);
    out.counter("gatehouse_policy_limiter_refused", "Clients under session limits only, for every key had a client.",
                {{"kind", name}}, counts.refused);
  }
}

}  // namespace

std::string metrics_text(const ReportSources& from) {
  OpenMetrics out;
  const PolicyStatus policy = from.policy.status();
  const std::string state = gateway_state(from).name;
  for (const char* const name : {"ok", "degraded", "draining", "failed"}) {
    out.gauge("gatehouse_state", "The gateway's state: 1 for the one that it is in.", {{"state", name}},
              state == name ? 1 : 0);
  }
  out.gauge("gatehouse_start_time_seconds", "When the gateway was started, in Unix time.", {},
            std::chrono::duration_cast<std::chrono::seconds>(from.started_at.time_since_epoch()).count());
  out.gauge("gatehouse_policy_generation", "Number of the policy in force.", {},
            static_cast<std::int64_t>(policy.generation));
  out.gauge("gatehouse_policy_problems", "Rows of policy.db that cannot be read.", {},
            static_cast<std::int64_t>(policy.problems.size()));
  write_limiter_metrics(*from.services.key_meters, out);
  from.plugins.certificates().write_metrics(out);
  const TokenFailures::Counts tokens = from.services.token_failures->counts();
  out.counter("gatehouse_token_failures", "Tokens that were nobody's.", {}, tokens.failures);
  out.counter("gatehouse_tokens_refused", "Tokens that were not looked at, for their source had shown too many.", {},
              tokens.refused);
  out.counter("gatehouse_policy_list_mismatches",
              "Names that a compiled list was found to report and its file not to have.", {}, policy.list_mismatches);
  for (const ListStatus& list : policy.lists) {
    out.gauge("gatehouse_policy_list_names", "Names in force of a domain list.", {{"list", list.name}},
              static_cast<std::int64_t>(list.names));
    out.gauge("gatehouse_policy_list_bytes", "Memory held by a domain list.", {{"list", list.name}},
              static_cast<std::int64_t>(list.bytes));
  }
  from.policy.records()->write_to(out);
  out.gauge("gatehouse_lanes_abandoned", "Lanes that never returned.", {}, from.plugins.abandoned_lanes());
  out.gauge("gatehouse_calls_abandoned", "Calls of plugins that never returned.", {}, from.plugins.abandoned_calls());
  out.counter("gatehouse_log_lines_dropped", "Log lines that found the queue full.", {},
              from.services.journal->dropped());
  write_store_metrics(from.store.facts().status, out);
  const FlowLog::Status flows = from.services.flow_log->status();
  out.counter("gatehouse_flow_log_lines", "Verdicts that were written to the flow log.", {}, flows.lines);
  out.counter("gatehouse_flow_log_lost", "Verdicts that came faster than they could be written, or found no room.", {},
              flows.lost);
  for (const auto& plugin : from.plugins.plugins()) {
    out.gauge("gatehouse_sessions", "Sessions that are remembered.", {{"plugin", plugin->name()}},
              static_cast<std::int64_t>(from.services.sessions->count(plugin->name())));
    plugin->write_metrics(out);
  }
  return out.text();
}

}  // namespace gatehouse
