#include "policy/limiter.hpp"

#include <gatehouse/table/gcra.hpp>

#include <algorithm>
#include <array>
#include <cassert>

namespace gatehouse::policy {
namespace {

constexpr std::size_t kMostLinks = 4;

}  // namespace

std::uint64_t SharedGcra::take(std::uint64_t now, std::uint64_t cost, std::uint64_t rate, std::uint64_t burst,
                               std::uint64_t& taken) noexcept {
  taken = 0;
  if (rate == 0 || cost == 0) return 0;
  std::uint64_t seen = full_at_.load(std::memory_order_relaxed);
  for (;;) {
    const GcraStep step = gcra_step(seen, now, cost, rate, burst);
    if (step.wait != 0) return step.wait;
    if (full_at_.compare_exchange_weak(seen, step.full_at, std::memory_order_relaxed)) {
      taken = step.full_at - std::max(seen, now);
      return 0;
    }
  }
}

RateLimit::RateLimit(const Limit& bytes_per_second, const Limit& burst_bytes, const Limit& unthrottled_bytes) noexcept
    : rate(bytes_per_second.or_none()),
      burst(burst_bytes.or_none() == 0 ? rate : *burst_bytes.value),
      unthrottled(unthrottled_bytes.or_none()) {}

std::uint64_t RateMeter::charge(const RateLimit& limit, std::uint64_t bytes, std::uint64_t now, Taken& taken) noexcept {
  taken = {};
  if (limit.rate == 0) return 0;
  std::uint64_t used = free_used_.load(std::memory_order_relaxed);
  while (used < limit.unthrottled) {
    const std::uint64_t free_bytes = std::min(bytes, limit.unthrottled - used);
    if (!free_used_.compare_exchange_weak(used, used + free_bytes, std::memory_order_relaxed)) continue;
    taken.free_bytes = free_bytes;
    break;
  }
  const std::uint64_t wait = gcra_.take(now, bytes - taken.free_bytes, limit.rate, limit.burst, taken.metered);
  if (wait != 0) {
    give_back(taken);
    taken = {};
  }
  return wait;
}

void RateMeter::give_back(const Taken& taken) noexcept {
  if (taken.free_bytes != 0) free_used_.fetch_sub(taken.free_bytes, std::memory_order_relaxed);
  if (taken.metered != 0) gcra_.give_back(taken.metered);
}

bool FlowCount::try_open(std::uint64_t limit) noexcept {
  const std::uint64_t before = open_.fetch_add(1, std::memory_order_relaxed);
  if (limit == 0 || before < limit) return true;
  close();
  return false;
}

MeterLimits::MeterLimits(const ScopeLimits& limits) noexcept
    : up(limits.rate_up, limits.burst_up, limits.unthrottled_up),
      down(limits.rate_down, limits.burst_down, limits.unthrottled_down),
      concurrent_flows(limits.concurrent_flows.or_none()),
      new_flows_per_second(limits.new_flows_per_second.or_none()) {}

std::uint64_t charge_all(std::span<const MeterLink> chain, Direction direction, std::uint64_t bytes,
                         std::uint64_t now) noexcept {
  assert(chain.size() <= kMostLinks);
  const bool up = direction == Direction::up;
  const auto meter = [up](const MeterLink& link) -> RateMeter& { return up ? link.meters->up : link.meters->down; };
  std::array<RateMeter::Taken, kMostLinks> taken;
  std::uint64_t longest = 0;
  for (std::size_t i = 0; i < chain.size(); ++i) {
    const RateLimit& limit = up ? chain[i].limits->up : chain[i].limits->down;
    longest = std::max(longest, meter(chain[i]).charge(limit, bytes, now, taken[i]));
  }
  if (longest > 0)
    for (std::size_t i = 0; i < chain.size(); ++i) meter(chain[i]).give_back(taken[i]);
  return longest;
}

FlowOpening open_flow(std::span<const MeterLink> chain, std::uint64_t now) noexcept {
  std::size_t counted = 0;
  for (; counted < chain.size(); ++counted)
    if (!chain[counted].meters->flows.try_open(chain[counted].limits->concurrent_flows)) {
      close_flow(chain.first(counted));
      return {FlowRefusal::concurrent_flows, counted};
    }
  std::array<std::uint64_t, kMostLinks> taken{};
  for (std::size_t i = 0; i < chain.size(); ++i) {
    const std::uint64_t rate = chain[i].limits->new_flows_per_second;
    if (chain[i].meters->new_flows.take(now, 1, rate, rate, taken[i]) == 0) continue;
    for (std::size_t paid = 0; paid < i; ++paid) chain[paid].meters->new_flows.give_back(taken[paid]);
    close_flow(chain);
    return {FlowRefusal::new_flow_rate, i};
  }
  return {};
}

void close_flow(std::span<const MeterLink> chain) noexcept {
  for (const MeterLink& link : chain) link.meters->flows.close();
}

}  // namespace gatehouse::policy
