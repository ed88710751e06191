#include "gateway/cli/plugin/probe_verb.hpp"

#include "gateway/base/refusal.hpp"
#include "gateway/cli/plugin/plugin_shelf.hpp"
#include "gateway/cli/render.hpp"

#include <gatehouse/plugin/border.hpp>

#include <array>

namespace gatehouse {

int probe_verb(const Invocation& invocation, const ProbeArguments& arguments) {
  const std::string& plugin = arguments.plugin;
  const Config config = load_config_or_defaults(invocation);
  const LoadedPlugin loaded = PluginShelf(config).load(plugin);
  const gh_probe* const probe = loaded.probe;
  if (probe == nullptr) {
    throw Refusal("plugin " + plugin + " offers no probe; ask its author for one");
  }
  std::vector<gh_bytes> views;
  for (const std::string& word : arguments.words) views.push_back(to_border(word));

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
