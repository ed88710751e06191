// The listeners of roles that are there for this machine where the configuration does not have them (GH_ROLE_LOCAL).
// Values; no thread rule.
#pragma once

#include "gateway/plugin/loader.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace gatehouse {

/// "unix:/run/gatehouse/geneve-relay-api.sock" of the role `listen_api`; "" of one that has none by itself.
/// @param plugin  its name in the configuration, of which each has another
[[nodiscard]] std::string default_address(const std::filesystem::path& runtime_dir, const std::string& plugin,
                                          const gh_listener_role& role);

/// Gives `plugin` these listeners, in roles for which it has no key; `[]` is one. They are as if somebody had written
/// that text there.
/// @return a problem for each that is left out, for no Unix socket can have its path
std::vector<ConfigProblem> add_default_listeners(PluginConfig& plugin, const LoadedPlugin& loaded,
                                                 const std::filesystem::path& runtime_dir);

}  // namespace gatehouse
