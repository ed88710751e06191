// When a session or lease is over: the time that its plugin gave, in the clock that it was given in. A value.
#pragma once

#include "db/file/clock_trust.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>

namespace gatehouse {

/// Beside a record's `expires_at` (Unix seconds, 0 = none), how long it was to last where that was given by a clock
/// that is in doubt. Such a time is over by that clock, every other one by the time that is believed: so a clock that
/// is far ahead ends nothing that was there before. When the clock is corrected, it lasts no longer from then on than
/// it was to last. After a restart only `expires_at` is left, and counts by the time that is believed.
class GivenEnd {
 public:
  void give(std::int64_t expires_at, const db::ClockReading& at) noexcept {
    const std::int64_t lasts = at.is_doubted() && expires_at > at.now ? expires_at - at.now : 0;
    lasts_ = static_cast<std::uint32_t>(std::min(lasts, kLongest));
  }
  [[nodiscard]] bool is_over(std::int64_t expires_at, const db::ClockReading& at) const noexcept {
    return expires_at != 0 && expires_at <= (lasts_ != 0 ? at.now : at.believed);
  }
  /// Puts `expires_at` right once the clock is in doubt no more. @return has it changed?
  bool settle(std::int64_t& expires_at, const db::ClockReading& at) noexcept {
    if (lasts_ == 0 || at.is_doubted()) return false;
    const std::int64_t latest = at.now + std::exchange(lasts_, 0);
    if (expires_at <= latest) return false;
    expires_at = latest;
    return true;
  }

 private:
  static constexpr std::int64_t kLongest = UINT32_MAX;  // 136 years
  std::uint32_t lasts_ = 0;                             // seconds; 0: it was given by a clock that was believed
};

}  // namespace gatehouse
