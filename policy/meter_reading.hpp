// What meters hold at one moment, for people: `gatehouse policy explain` on a running gateway. Reading takes nothing,
// locks nothing and allocates nothing. Thread-safe: each number is right for an instant of its own.
#pragma once

#include "policy/limiter.hpp"

#include <cstdint>

namespace gatehouse::policy {

struct RateReading {
  std::uint64_t left = 0;              ///< bytes that may pass at once now, of the burst
  std::uint64_t unthrottled_left = 0;  ///< bytes that pass before the rate begins
};

/// Valid only where there is a limit, except for what is open, which is always counted.
struct MeterReading {
  RateReading up, down;
  std::uint64_t quota_used = 0;      ///< bytes, in this day or month
  std::uint64_t new_flows_left = 0;  ///< that may begin at once now
  std::uint64_t destinations = 0;    ///< in this minute
  std::uint64_t flows = 0;           ///< open
  std::uint64_t sessions = 0;        ///< open
};

[[nodiscard]] MeterReading read_meters(const Meters& meters, const MeterLimits& limits, const Moment& now) noexcept;

}  // namespace gatehouse::policy
