// Listeners that cannot all be: two at one address. Values; no thread rule.
#pragma once

#include "gateway/config/config.hpp"

#include <vector>

namespace gatehouse {

/// A problem for each listener of an enabled plugin whose address another one has, or the gateway itself for its
/// metrics or its control socket: it would fail only at bind(2), with less to go by. read_config() asks this of what is
/// written; ask again once roles have the listeners that they have by themselves.
[[nodiscard]] std::vector<ConfigProblem> duplicate_listeners(const Config& config);

}  // namespace gatehouse
