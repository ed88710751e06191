#include "gateway/cli/gateway_verbs.hpp"

#include "gateway/cli/plugin/plugin_shelf.hpp"
#include "gateway/cli/render.hpp"
#include "gateway/cli/running_gateway.hpp"
#include "gateway/daemon/daemon.hpp"
#include "gateway/daemon/plugin_set.hpp"
#include "gateway/daemon/preflight.hpp"
#include "gateway/policy/snapshot_board.hpp"

#include <nlohmann/json.hpp>

namespace gatehouse {
namespace {

/// The body of `status` with one line for each plugin: its lanes as a number, its listeners as addresses.
std::string condense_status(const std::string& json) {
  auto body = nlohmann::ordered_json::parse(json, nullptr, false);
  if (!body.is_object() || !body.contains("plugins")) return json;
  for (auto& plugin : body["plugins"]) {
    if (!plugin.is_object()) return json;
    auto addresses = nlohmann::ordered_json::array();
    for (const auto& listener : plugin.value("listeners", nlohmann::ordered_json::array())) {
      addresses.push_back(listener.value("address", ""));
    }
    plugin = {{"name", plugin.value("name", "")},
              {"version", plugin.value("version", "")},
              {"state", plugin.value("state", "")},
              {"lanes", plugin.value("lanes", nlohmann::ordered_json::array()).size()},
              {"pending", plugin.value("pending", 0)},
              {"sessions", plugin.value("sessions", 0)},
              {"restarts", plugin.value("restarts", 0)},
              {"listeners", std::move(addresses)},
              {"failure", plugin.value("failure", "")},
              {"notes", plugin.value("notes", nlohmann::ordered_json::array())}};
  }
  return one_line(body);
}

/// @throws BrokenConfig
Config valid(ConfigReading reading) {
  if (!reading.config) throw BrokenConfig(std::move(reading.problems));
  return std::move(*reading.config);
}

}  // namespace

int run_verb(const Invocation& invocation, const NoArguments&) {
  const auto read = [invocation] { return read_own_config(invocation.config, invocation.overrides); };
  Daemon daemon(valid(read()), read);
  std::vector<ConfigProblem> problems = daemon.start();
  if (!problems.empty()) throw BrokenConfig(std::move(problems));
  return daemon.run();
}

int check_verb(const Invocation& invocation, const NoArguments&) {
  Config config = valid(read_own_config(invocation.config, invocation.overrides));
  const PluginShelf shelf(config);
  HostServices services;
  services.journal = std::make_shared<Journal>(GH_LOG_WARN, LogFormat::text);
  services.policy = std::make_shared<SnapshotBoard>(policy::Snapshot::without_policy(0));
  PluginSet plugins(services, {});
  std::vector<ConfigProblem> problems = plugins.load(shelf.config());
  for (ConfigProblem& problem : plugins.add_defaults(config)) problems.push_back(std::move(problem));
  for (ConfigProblem& problem : preflight(config)) problems.push_back(std::move(problem));
  if (!problems.empty()) throw BrokenConfig(std::move(problems));

  auto list = nlohmann::ordered_json::array();
  for (const auto& plugin : plugins.plugins()) {
    list.push_back({{"name", plugin->name()},
                    {"version", plugin->loaded().manifest->version},
                    {"file", plugin->loaded().file.original.string()}});
  }
  auto warnings = nlohmann::ordered_json::array();
  for (const ConfigProblem& remark : plugins.remarks()) {
    if (!invocation.json) complain(invocation, "warning: " + remark.to_string());
    warnings.push_back({{"file", remark.place.file},
                        {"line", remark.place.line},
                        {"column", remark.place.column},
                        {"sentence", remark.sentence}});
  }
  nlohmann::ordered_json body = {{"state", "ok"}, {"config", invocation.config.string()}, {"plugins", std::move(list)}};
  if (invocation.json) body["warnings"] = std::move(warnings);
  print_body(invocation, one_line(body));
  return kExitYes;
}

int status_verb(const Invocation& invocation, const NoArguments&) {
  ControlReply reply = ask_gateway(invocation, "status", Access::read);
  if (!invocation.json) reply.json = condense_status(reply.json);
  const int code = print_reply(invocation, reply);
  if (code != kExitYes) return code;
  const auto body = nlohmann::json::parse(reply.json, nullptr, false);
  return body.is_object() && body.value("state", "") == "ok" ? kExitYes : kExitNo;
}

int reload_verb(const Invocation& invocation, const NoArguments&) {
  return print_reply(invocation, ask_gateway(invocation, "reload", Access::write));
}

int drain_verb(const Invocation& invocation, const NoArguments&) {
  return print_reply(invocation, ask_gateway(invocation, "drain", Access::write));
}

}  // namespace gatehouse
