#include "gateway/cli/plugin/probe_verb.hpp"

#include "gateway/base/refusal.hpp"
#include "gateway/cli/plugin/plugin_shelf.hpp"
#include "gateway/cli/render.hpp"
#include "gateway/plugin/default_listeners.hpp"

#include <gatehouse/plugin/border.hpp>

#include <array>

namespace gatehouse {
namespace {

/// What a probe without arguments is about: where the plugin listens for this machine, as configured or by itself.
std::vector<std::string> local_address(const Config& config, const std::string& plugin, const LoadedPlugin& loaded) {
  const auto found = config.plugins.find(plugin);
  PluginConfig configured;
  if (found != config.plugins.end()) configured = found->second;
  configured.name = plugin;
  static_cast<void>(add_default_listeners(configured, loaded, config.runtime_dir));
  for (const auto& [name, addresses] : configured.listeners) {
    const gh_listener_role* const role = loaded.find_role(name);
    if (role == nullptr || (role->kinds & GH_ROLE_LOCAL) == 0) continue;
    for (const ListenAddress& address : addresses)
      if (address.kind == ListenAddress::Kind::unix_stream) return {address.text};
  }
  return {};
}

}  // namespace

int probe_verb(const Invocation& invocation, const ProbeArguments& arguments) {
  const std::string& plugin = arguments.plugin;
  const Config config = load_config_or_defaults(invocation);
  const LoadedPlugin loaded = PluginShelf(config).load(plugin);
  const gh_probe* const probe = loaded.probe;
  if (probe == nullptr) {
    throw Refusal("plugin " + plugin + " offers no probe; ask its author for one");
  }
  const std::vector<std::string> words =
      arguments.words.empty() ? local_address(config, plugin, loaded) : arguments.words;
  std::vector<gh_bytes> views;
  for (const std::string& word : words) views.push_back(to_border(word));

  std::array<char, 1024> text{};
  gh_message why{text.data(), text.size(), 0};
  const auto print = [](void* context, gh_bytes json) {
    print_body(*static_cast<const Invocation*>(context), std::string(from_border(json)));
  };
  Invocation printing = invocation;
  const gh_status status = probe->run(views.data(), views.size(), print, &printing, &why);
  if (status >= GH_OK) return kExitYes;
  const std::string sentence(text.data(), std::min(why.size, text.size()));
  complain(invocation, sentence.empty() ? "the probe of " + plugin + " failed" : sentence);
  if (status != GH_E_INVALID) return kExitNo;
  if (probe->usage != nullptr && sentence.find("usage:") == std::string::npos) {
    complain(invocation, "usage: gatehouse probe " + plugin + ' ' + probe->usage);
  }
  return kExitWrong;
}

}  // namespace gatehouse
