// Time on the packet path: steady, in nanoseconds, and always an argument, so that tests can choose it.
#pragma once

#include <chrono>
#include <cstdint>

namespace gatehouse {

/// How long something takes or waits.
using Nanoseconds = std::chrono::nanoseconds;
/// A point on CLOCK_MONOTONIC.
using SteadyTime = std::chrono::time_point<std::chrono::steady_clock, Nanoseconds>;

/// Now, by CLOCK_MONOTONIC; about 20 ns (vDSO). Read it once per batch.
[[nodiscard]] inline SteadyTime steady_now() noexcept { return std::chrono::steady_clock::now(); }

/// As the C border writes it.
[[nodiscard]] inline std::uint64_t to_ns(SteadyTime time) noexcept {
  return static_cast<std::uint64_t>(time.time_since_epoch().count());
}

}  // namespace gatehouse
