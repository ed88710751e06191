// `gatehouse check`: what `run` would find wrong before it starts anything.
#include "gateway/cli/plugin_shelf.hpp"
#include "gateway/cli/render.hpp"
#include "gateway/cli/verbs.hpp"
#include "gateway/daemon/plugin_set.hpp"
#include "gateway/policy/snapshot_board.hpp"

#include <nlohmann/json.hpp>

namespace gatehouse {

int check_verb(const Invocation& invocation) {
  const PluginShelf shelf(load_config(invocation));
  HostServices services;
  services.journal = std::make_shared<Journal>(GH_LOG_WARN, LogFormat::text);
  services.policy = std::make_shared<SnapshotBoard>(policy::Snapshot::without_policy(0));
  PluginSet plugins(services, {});
  std::vector<ConfigProblem> problems = plugins.load(shelf.config());
  if (!problems.empty()) throw BrokenConfig(std::move(problems));

  auto list = nlohmann::ordered_json::array();
  for (const auto& plugin : plugins.plugins()) {
    list.push_back({{"name", plugin->name()},
                    {"version", plugin->loaded().manifest->version},
                    {"file", plugin->loaded().file.original.string()}});
  }
  const nlohmann::ordered_json body = {
      {"state", "ok"}, {"config", invocation.config.string()}, {"plugins", std::move(list)}};
  print_body(one_line(body), invocation.json);
  return kExitYes;
}

}  // namespace gatehouse
