#include "policy/rate_meter.hpp"

namespace gatehouse::policy {
namespace {

/// How many ns so many bytes are worth.
std::uint64_t price(std::uint64_t bytes, std::uint64_t rate) noexcept {
  return gcra_step(0, 0, bytes, rate, bytes).full_at;
}

/// What may go of a run that does not go as a whole.
std::uint64_t part_that_fits(std::uint64_t full_at, std::uint64_t now, const PacketRun& run, std::uint64_t free_bytes,
                             std::uint64_t rate, std::uint64_t burst) noexcept {
  const std::uint64_t left = std::min(gcra_left(full_at, now, rate, burst), UINT64_MAX - free_bytes);
  const std::uint64_t part = run.fitting(free_bytes + left);
  if (part > free_bytes || full_at > now || part == run.bytes) return part;
  return part + run.next(part) - free_bytes > burst ? part + run.next(part) : part;
}

}  // namespace

std::uint64_t SharedGcra::take(std::uint64_t now, const PacketRun& run, std::uint64_t free_bytes, std::uint64_t rate,
                               std::uint64_t burst, std::uint64_t& taken) noexcept {
  const std::uint64_t whole = run.bytes - free_bytes;
  const bool at_once = run.packets <= 1 || whole <= burst;  // else only some packets may go, however full it is
  taken = 0;
  std::uint64_t seen = full_at_.load(std::memory_order_relaxed);
  for (;;) {
    std::uint64_t part = run.bytes;
    GcraStep step = at_once ? gcra_step(seen, now, whole, rate, burst) : GcraStep{seen, 1};
    if (step.wait != 0) {
      part = run.packets <= 1 ? 0 : part_that_fits(seen, now, run, free_bytes, rate, burst);
      if (part <= free_bytes) return part;
      step = gcra_step(seen, now, part - free_bytes, rate, burst);
    }
    if (full_at_.compare_exchange_weak(seen, step.full_at, std::memory_order_relaxed)) {
      taken = step.full_at - std::max(seen, now);
      return part;
    }
  }
}

std::uint64_t SharedGcra::wait(std::uint64_t now, std::uint64_t cost, std::uint64_t rate,
                               std::uint64_t burst) const noexcept {
  return gcra_step(full_at_.load(std::memory_order_relaxed), now, cost, rate, burst).wait;
}

std::uint64_t SharedGcra::left(std::uint64_t now, std::uint64_t rate, std::uint64_t burst) const noexcept {
  return gcra_left(full_at_.load(std::memory_order_relaxed), now, rate, burst);
}

RateLimit::RateLimit(const Limit& bytes_per_second, const Limit& burst_bytes, const Limit& unthrottled_bytes) noexcept
    : rate(bytes_per_second.or_none()),
      burst(burst_bytes.or_none() == 0 ? rate : *burst_bytes.value),
      unthrottled(unthrottled_bytes.or_none()) {}

std::uint64_t RateMeter::take_free(const RateLimit& limit, std::uint64_t bytes) noexcept {
  std::uint64_t used = free_used_.load(std::memory_order_relaxed);
  while (used < limit.unthrottled) {
    const std::uint64_t free_bytes = std::min(bytes, limit.unthrottled - used);
    if (free_used_.compare_exchange_weak(used, used + free_bytes, std::memory_order_relaxed)) return free_bytes;
  }
  return 0;
}

std::uint64_t RateMeter::charge_part(const RateLimit& limit, const PacketRun& run, std::uint64_t now,
                                     Taken& taken) noexcept {
  const std::uint64_t free_bytes = take_free(limit, run.bytes);
  taken.bytes =
      free_bytes == run.bytes ? free_bytes : gcra_.take(now, run, free_bytes, limit.rate, limit.burst, taken.metered);
  taken.free_bytes = std::min(free_bytes, taken.bytes);
  if (taken.free_bytes != free_bytes) free_used_.fetch_sub(free_bytes - taken.free_bytes, std::memory_order_relaxed);
  return taken.bytes;
}

void RateMeter::keep_only(const RateLimit& limit, const Taken& taken, std::uint64_t bytes) noexcept {
  if (taken.bytes <= bytes) return;
  const std::uint64_t free_bytes = std::min(bytes, taken.free_bytes);
  if (taken.free_bytes != free_bytes) free_used_.fetch_sub(taken.free_bytes - free_bytes, std::memory_order_relaxed);
  const std::uint64_t kept = std::min(taken.metered, price(bytes - free_bytes, limit.rate));
  if (taken.metered != kept) gcra_.give_back(taken.metered - kept);
}

std::uint64_t RateMeter::wait(const RateLimit& limit, std::uint64_t bytes, std::uint64_t now) const noexcept {
  if (limit.rate == 0) return 0;
  return gcra_.wait(now, bytes - std::min(bytes, unthrottled_left(limit)), limit.rate, limit.burst);
}

}  // namespace gatehouse::policy
