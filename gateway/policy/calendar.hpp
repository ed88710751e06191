// The present day and month, UTC, for quotas: read by lanes on the packet path, refreshed by a control thread.
#pragma once

#include "policy/quota_meter.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>

namespace gatehouse {

/// When the present day or month ends.
[[nodiscard]] inline std::chrono::system_clock::time_point end_of(policy::QuotaPeriod period,
                                                                  policy::Periods now) noexcept {
  using namespace std::chrono;
  if (period == policy::QuotaPeriod::day) return sys_days(days(now.day + 1));
  const std::uint32_t next = now.month + 1;
  return sys_days(year(1970 + static_cast<int>(next / 12)) / month(next % 12 + 1) / 1);
}

/// Thread-safe.
class Calendar {
 public:
  explicit Calendar(std::chrono::system_clock::time_point now = std::chrono::system_clock::now()) noexcept {
    refresh(now);
  }
  void refresh(std::chrono::system_clock::time_point now = std::chrono::system_clock::now()) noexcept {
    using namespace std::chrono;
    const auto day = floor<days>(now);
    const year_month_day date(day);
    const int month = static_cast<int>(date.year()) * 12 + static_cast<int>(static_cast<unsigned>(date.month())) - 1;
    const auto days_since_1970 = static_cast<std::uint32_t>(day.time_since_epoch().count());
    packed_.store(std::uint64_t{days_since_1970} << 32 | static_cast<std::uint32_t>(month - 1970 * 12),
                  std::memory_order_relaxed);
  }
  [[nodiscard]] policy::Periods periods() const noexcept {
    const std::uint64_t packed = packed_.load(std::memory_order_relaxed);
    return {static_cast<std::uint32_t>(packed >> 32), static_cast<std::uint32_t>(packed)};
  }

 private:
  std::atomic<std::uint64_t> packed_{0};  // in one word, so that both are of one instant
};

}  // namespace gatehouse
