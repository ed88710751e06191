// Would `run` come up as this user, and with a policy in force? Asked by `check`, beside what the plugins say.
#pragma once

#include "gateway/config/config.hpp"

#include <vector>

namespace gatehouse {

/// Holds folders, databases, the flow log and the addresses of listeners against the rights of the effective user, as
/// `run` would meet them. Makes nothing that stays and waits for nothing. While a gateway answers at control.sock, what
/// is held (addresses) is taken for this one's own; the store's lock always is. Blocks for as long as reading policy.db
/// takes.
/// @return every problem, as a sentence that says what to do
[[nodiscard]] std::vector<ConfigProblem> preflight(const Config& config);

}  // namespace gatehouse
