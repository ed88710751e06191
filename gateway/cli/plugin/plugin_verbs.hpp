// `gatehouse plugin list|describe`. Verbs as in invocation.hpp; main thread.
#pragma once

#include "gateway/cli/invocation.hpp"

#include <string>

namespace gatehouse {

struct PluginArguments {
  std::string name;
};

/// Every plugin that is configured or in one of the plugin folders; where a gateway runs, also what state each has
/// there, and whether its file is another one than runs.
[[nodiscard]] int plugin_list_verb(const Invocation& invocation, const NoArguments&);
/// What a plugin's manifest has: listeners, options, probe.
[[nodiscard]] int plugin_describe_verb(const Invocation& invocation, const PluginArguments& arguments);

}  // namespace gatehouse
