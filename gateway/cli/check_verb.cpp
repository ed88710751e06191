// `gatehouse check`: what `run` would find wrong before it starts anything.
#include "gateway/cli/plugin_shelf.hpp"
#include "gateway/cli/render.hpp"
#include "gateway/cli/verbs.hpp"
#include "gateway/plugin/configured_plugin.hpp"
#include "gateway/plugin/refusal.hpp"

#include <nlohmann/json.hpp>

namespace gatehouse {
namespace {

/// What is wrong with an enabled plugin: its listeners, its options by the schema, and what it says to them itself.
std::vector<ConfigProblem> problems_of(const Config& config, const PluginConfig& plugin, const LoadedPlugin& loaded,
                                       const HostServices& services) {
  AcceptedPlugin accepted = accept_configuration(config, plugin, loaded);
  if (accepted.problems.empty()) {
    ConfiguredPlugin(loaded, {plugin, accepted.options, {}}, services, [] {}).check(accepted.options);
  }
  return std::move(accepted.problems);
}

}  // namespace

int check_verb(const Invocation& invocation) {
  const Config config = load_config(invocation);
  const PluginShelf shelf(config);
  HostServices services;
  services.journal = std::make_shared<Journal>(GH_LOG_WARN, LogFormat::text);
  std::vector<ConfigProblem> problems;
  auto list = nlohmann::ordered_json::array();
  for (const auto& [name, plugin] : config.plugins) {
    if (!plugin.enabled) continue;
    try {
      const LoadedPlugin loaded = shelf.load(name);
      const auto found = problems_of(config, plugin, loaded, services);
      problems.insert(problems.end(), found.begin(), found.end());
      list.push_back({{"name", name}, {"version", loaded.manifest->version}, {"file", loaded.file.original.string()}});
    } catch (const Refusal& refusal) {
      problems.push_back({plugin.place, refusal.what()});
    }
  }
  if (!problems.empty()) throw BrokenConfig(std::move(problems));
  const nlohmann::ordered_json body = {
      {"state", "ok"}, {"config", invocation.config.string()}, {"plugins", std::move(list)}};
  print_body(body.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace), invocation.json);
  return kExitYes;
}

}  // namespace gatehouse
