// The calendar's months, UTC, by which monthly quotas and usage are counted. Pure.
#pragma once

#include <chrono>
#include <cstdint>

namespace gatehouse::policy {

/// The first day of the month that `day` is in; days are counted since 1970.
[[nodiscard]] constexpr std::int64_t first_day_of_month(std::int64_t day) noexcept {
  const std::chrono::year_month_day date{std::chrono::sys_days{std::chrono::days(day)}};
  return std::chrono::sys_days{date.year() / date.month() / 1}.time_since_epoch().count();
}

}  // namespace gatehouse::policy
