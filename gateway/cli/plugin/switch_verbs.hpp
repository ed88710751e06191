// `gatehouse plugin enable|disable`. Verbs as in invocation.hpp; main thread.
#pragma once

#include "gateway/cli/plugin/plugin_verbs.hpp"

namespace gatehouse {

/// Writes `enabled` to gatehouse.d/90-plugins.toml and has the running gateway, if there is one, take it over at once,
/// with whatever else of the configuration has changed: as `reload`, all or nothing. Refused, the file is as before.
[[nodiscard]] int plugin_enable_verb(const Invocation& invocation, const PluginArguments& arguments);
[[nodiscard]] int plugin_disable_verb(const Invocation& invocation, const PluginArguments& arguments);

}  // namespace gatehouse
