// What the states of sessions mean, asked of their plugins.
#pragma once

#include "gateway/daemon/plugin_set.hpp"
#include "gateway/daemon/store_tables.hpp"

#include <boost/asio/awaitable.hpp>

#include <vector>

namespace gatehouse {

/// Asks each plugin about the states of its sessions (gh.sessions.describe/1), each pair of words once. Control thread,
/// which goes on meanwhile. A plugin that does not answer within 2 s says nothing; after lane_timeout_seconds it has
/// failed.
[[nodiscard]] boost::asio::awaitable<DescribeState> describe_states(const PluginSet& plugins,
                                                                    const std::vector<LiveSession>& sessions);

/// What their plugins call the counts of sessions.
[[nodiscard]] CountNames count_names_of(const PluginSet& plugins);

}  // namespace gatehouse
