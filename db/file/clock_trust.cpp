#include "db/file/clock_trust.hpp"

#include <sys/timex.h>

#include <cstdlib>

namespace gatehouse::db {
namespace {

std::int64_t seconds_between(ClockTrust::Steady::time_point from, ClockTrust::Steady::time_point to) noexcept {
  return std::chrono::duration_cast<std::chrono::seconds>(to - from).count();
}

}  // namespace

bool clock_is_synchronised() noexcept {
  timex asked{};
  const int state = ::adjtimex(&asked);
  return state >= 0 && state != TIME_ERROR && (asked.status & STA_UNSYNC) == 0;
}

std::int64_t ClockTrust::believed(std::int64_t now, bool is_synchronised, Steady::time_point at) noexcept {
  constexpr std::int64_t kFarSeconds = std::chrono::seconds(kFar).count();
  const std::int64_t expected = seen_ + seconds_between(at_, at);
  const bool is_far = seen_ != 0 && now > expected + kFarSeconds;
  if (is_far && !is_synchronised) {
    const bool has_leapt = doubt_ && std::abs(doubt_->now + seconds_between(doubt_->since, at) - now) > kFarSeconds;
    if (!doubt_ || has_leapt) doubt_ = {now, at};
    if (at - doubt_->since < kStanding) return expected;
  }
  doubt_.reset();
  seen_ = now;
  at_ = at;
  return now;
}

}  // namespace gatehouse::db
