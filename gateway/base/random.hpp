// Random bytes from the kernel, for seeds and secrets. Thread-safe.
#pragma once

#include <gatehouse/base/bytes.hpp>

namespace gatehouse {

/// Fills all of `out`. @throws std::system_error when the kernel refuses, which it does only in a broken sandbox
void fill_random(MutableBytes out);

}  // namespace gatehouse
