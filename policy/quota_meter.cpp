#include "policy/quota_meter.hpp"

#include <algorithm>

namespace gatehouse::policy {
namespace {

constexpr unsigned kByteBits = 52;

/// One bit for the kind, eleven for the number: the same again after five years, which no meter outlives unused.
std::uint64_t tag_of(const QuotaLimit& limit, Periods now) noexcept {
  const bool is_day = limit.period == QuotaPeriod::day;
  return std::uint64_t{is_day} << 63 | std::uint64_t{(is_day ? now.day : now.month) & 0x7ffu} << kByteBits;
}

constexpr std::uint64_t tag_part(std::uint64_t state) noexcept { return state & ~QuotaMeter::kMostBytes; }
constexpr std::uint64_t bytes_part(std::uint64_t state) noexcept { return state & QuotaMeter::kMostBytes; }

}  // namespace

QuotaLimit::QuotaLimit(const Limit& quota_bytes, std::string_view period_text) noexcept
    : bytes(std::min(quota_bytes.or_none(), QuotaMeter::kMostBytes)),
      period(period_text == "day" ? QuotaPeriod::day : QuotaPeriod::month) {}

/// A state of another period counts for nothing; but what was used before this process began does.
std::uint64_t QuotaMeter::used_of(std::uint64_t state, const QuotaLimit& limit, Periods now) const noexcept {
  if (tag_part(state) == tag_of(limit, now)) return bytes_part(state);
  if (limit.period == QuotaPeriod::day) return earlier_.periods.day == now.day ? earlier_.in_day : 0;
  return earlier_.periods.month == now.month ? earlier_.in_month : 0;
}

std::uint64_t QuotaMeter::add(const QuotaLimit& limit, const PacketRun& run, Periods now) noexcept {
  const std::uint64_t tag = tag_of(limit, now);
  std::uint64_t seen = state_.load(std::memory_order_relaxed);
  for (;;) {
    const std::uint64_t used = used_of(seen, limit, now);
    const std::uint64_t part = run.fitting(limit.bytes - std::min(limit.bytes, used));
    if (part == 0) return 0;
    if (state_.compare_exchange_weak(seen, tag | (used + part), std::memory_order_relaxed)) return part;
  }
}

void QuotaMeter::subtract(const QuotaLimit& limit, std::uint64_t bytes, Periods now) noexcept {
  const std::uint64_t tag = tag_of(limit, now);
  std::uint64_t seen = state_.load(std::memory_order_relaxed);
  while (tag_part(seen) == tag &&
         !state_.compare_exchange_weak(seen, seen - std::min(bytes, bytes_part(seen)), std::memory_order_relaxed)) {
  }
}

std::uint64_t QuotaMeter::used(const QuotaLimit& limit, Periods now) const noexcept {
  return used_of(state_.load(std::memory_order_relaxed), limit, now);
}

}  // namespace gatehouse::policy
