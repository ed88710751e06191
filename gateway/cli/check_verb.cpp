// `gatehouse check`: what `run` would find wrong before it starts anything.
#include "gateway/cli/plugin_shelf.hpp"
#include "gateway/cli/render.hpp"
#include "gateway/cli/verbs.hpp"
#include "gateway/plugin/refusal.hpp"

#include <nlohmann/json.hpp>

namespace gatehouse {

int check_verb(const Invocation& invocation) {
  const Config config = load_config(invocation);
  const PluginShelf shelf(config);
  std::vector<ConfigProblem> problems;
  auto list = nlohmann::ordered_json::array();
  for (const auto& [name, plugin] : config.plugins) {
    if (!plugin.enabled) continue;
    try {
      const LoadedPlugin loaded = shelf.load(name);
      const AcceptedPlugin accepted = accept_configuration(config, plugin, loaded);
      problems.insert(problems.end(), accepted.problems.begin(), accepted.problems.end());
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
