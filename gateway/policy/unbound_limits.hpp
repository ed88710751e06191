// Limits that look as if they held and do not: what clients share by their identity or address, where clients from
// loopback without an identity come in, behind whom anybody may be. Pure; thread-safe.
#pragma once

#include "gateway/config/config.hpp"
#include "policy/snapshot.hpp"

#include <string>
#include <vector>

namespace gatehouse {

/// Sentences for people, one a row of traffic_rules that meets such a listener of the plugin: "traffic_rules 5: ...".
[[nodiscard]] std::vector<std::string> unbound_limits(const policy::Snapshot& snapshot, const PluginConfig& plugin);

}  // namespace gatehouse
