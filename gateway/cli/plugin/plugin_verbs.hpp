// `gatehouse plugin list|describe|enable|disable`. Verbs as in invocation.hpp; main thread.
#pragma once

#include "gateway/cli/invocation.hpp"

#include <string>

namespace gatehouse {

struct PluginArguments {
  std::string name;
};

/// Every plugin that is configured or in one of the plugin folders.
[[nodiscard]] int plugin_list_verb(const Invocation& invocation, const NoArguments&);
/// What a plugin's manifest has: listeners, options, probe.
[[nodiscard]] int plugin_describe_verb(const Invocation& invocation, const PluginArguments& arguments);
/// Writes `enabled` to gatehouse.d/90-plugins.toml.
[[nodiscard]] int plugin_enable_verb(const Invocation& invocation, const PluginArguments& arguments);
[[nodiscard]] int plugin_disable_verb(const Invocation& invocation, const PluginArguments& arguments);

}  // namespace gatehouse
