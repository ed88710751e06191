// gh.ranges/1: which numbers this gateway may hand out. It is alone, so it has all of every space.
#pragma once

#include <gatehouse/abi.h>

namespace gatehouse {

/// The same for all instances. Thread-safe.
[[nodiscard]] const gh_ranges* ranges_table() noexcept;

}  // namespace gatehouse
