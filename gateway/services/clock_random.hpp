// gh.clock/1 and gh.random/1: the system's clocks and random bytes. Thread-safe, without state.
#pragma once

#include <gatehouse/abi.h>

namespace gatehouse {

[[nodiscard]] const gh_clock* clock_table() noexcept;
[[nodiscard]] const gh_random* random_table() noexcept;

}  // namespace gatehouse
