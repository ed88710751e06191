// Which processors this process may use, for lanes.
#pragma once

#include <vector>

namespace gatehouse {

/// In order; one at least.
[[nodiscard]] std::vector<int> usable_processors();
void pin_this_thread(int cpu);

}  // namespace gatehouse
