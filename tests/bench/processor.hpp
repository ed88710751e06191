// Processors of benchmarks: whose time counts, and who runs where.
#pragma once

#include <cstdint>
#include <vector>

namespace gatehouse::bench {

/// Processor time of all threads of these processes so far; of one that is not there 0.
[[nodiscard]] std::uint64_t processor_ns(const std::vector<int>& pids);

/// This thread, and those that it starts, on one processor; -1 = anywhere.
void pin(int cpu);

}  // namespace gatehouse::bench
