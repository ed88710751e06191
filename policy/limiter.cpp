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
    if (step.wait != 0) return std::min(step.wait, kNoMore - 1);
    if (full_at_.compare_exchange_weak(seen, step.full_at, std::memory_order_relaxed)) {
      taken = step.full_at - std::max(seen, now);
      return 0;
    }
  }
}

std::uint64_t SharedGcra::left(std::uint64_t now, std::uint64_t rate, std::uint64_t burst) const noexcept {
  return gcra_left(full_at_.load(std::memory_order_relaxed), now, rate, burst);
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

std::uint64_t RateMeter::unthrottled_left(const RateLimit& limit) const noexcept {
  return limit.unthrottled - std::min(limit.unthrottled, free_used_.load(std::memory_order_relaxed));
}

bool OpenCount::try_open(std::uint64_t limit) noexcept {
  const std::uint64_t before = open_.fetch_add(1, std::memory_order_relaxed);
  if (limit == 0 || before < limit) return true;
  close();
  return false;
}

MeterLimits::MeterLimits(const ScopeLimits& limits) noexcept
    : up(limits.rate_up, limits.burst_up, limits.unthrottled_up),
      down(limits.rate_down, limits.burst_down, limits.unthrottled_down),
      quota(limits.quota_bytes, limits.quota_period),
      concurrent_flows(limits.concurrent_flows.or_none()),
      new_flows_per_second(limits.new_flows_per_second.or_none()),
      destinations_per_minute(std::min(limits.destinations_per_minute.or_none(), DistinctWindow::kMostThings)) {}

std::uint64_t charge_all(std::span<const MeterLink> chain, Direction direction, std::uint64_t bytes,
                         const Moment& now) noexcept {
  assert(chain.size() <= kMostLinks);
  const bool up = direction == Direction::up;
  const auto meter = [up](const MeterLink& link) -> RateMeter& { return up ? link.meters->up : link.meters->down; };
  const auto give_back = [&](std::size_t quotas) {
    for (const MeterLink& link : chain.first(quotas))
      link.meters->quota.give_back(link.limits->quota, bytes, now.periods);
  };
  std::size_t paid = 0;
  for (; paid < chain.size(); ++paid) {
    const MeterLink& link = chain[paid];
    if (link.meters->quota.charge(link.limits->quota, bytes, now.periods)) continue;
    give_back(paid);
    return kNoMore;
  }
  std::array<RateMeter::Taken, kMostLinks> taken;
  std::uint64_t longest = 0;
  for (std::size_t i = 0; i < chain.size(); ++i) {
    const RateLimit& limit = up ? chain[i].limits->up : chain[i].limits->down;
    longest = std::max(longest, meter(chain[i]).charge(limit, bytes, now.steady_ns, taken[i]));
  }
  if (longest > 0) {
    for (std::size_t i = 0; i < chain.size(); ++i) meter(chain[i]).give_back(taken[i]);
    give_back(paid);
  }
  return longest;
}

namespace {

/// What can be decided without counting anything.
FlowOpening foresee(std::span<const MeterLink> chain, std::uint64_t destination, const Moment& now) noexcept {
  for (std::size_t i = 0; i < chain.size(); ++i)
    if (chain[i].meters->quota.is_used_up(chain[i].limits->quota, now.periods)) return {FlowRefusal::quota, i};
  for (std::size_t i = 0; i < chain.size(); ++i)
    if (!chain[i].meters->destinations.would_admit(destination, chain[i].limits->destinations_per_minute,
                                                   now.steady_ns))
      return {FlowRefusal::destinations, i};
  return {};
}

/// The first link last: that it would admit holds, for no other thread counts there.
FlowOpening count_destination(std::span<const MeterLink> chain, std::uint64_t destination, const Moment& now) noexcept {
  for (std::size_t i = chain.size(); i-- > 0;)
    if (!chain[i].meters->destinations.admit(destination, chain[i].limits->destinations_per_minute, now.steady_ns))
      return {FlowRefusal::destinations, i};
  return {};
}

}  // namespace

FlowOpening open_flow(std::span<const MeterLink> chain, std::uint64_t destination, const Moment& now) noexcept {
  assert(chain.size() <= kMostLinks);
  FlowOpening out = foresee(chain, destination, now);
  if (out.refusal != FlowRefusal::none) return out;

  std::array<std::uint64_t, kMostLinks> taken{};
  std::size_t paid = 0, counted = 0;
  for (; paid < chain.size(); ++paid) {
    const std::uint64_t rate = chain[paid].limits->new_flows_per_second;
    if (chain[paid].meters->new_flows.take(now.steady_ns, 1, rate, rate, taken[paid]) != 0) break;
  }
  if (paid < chain.size()) out = {FlowRefusal::new_flow_rate, paid};
  for (; out.refusal == FlowRefusal::none && counted < chain.size(); ++counted)
    if (!chain[counted].meters->flows.try_open(chain[counted].limits->concurrent_flows)) break;
  if (out.refusal == FlowRefusal::none)
    out = counted < chain.size() ? FlowOpening{FlowRefusal::concurrent_flows, counted}
                                 : count_destination(chain, destination, now);
  if (out.refusal != FlowRefusal::none) {
    for (std::size_t i = 0; i < paid; ++i) chain[i].meters->new_flows.give_back(taken[i]);
    close_flow(chain.first(counted));
  }
  return out;
}

void close_flow(std::span<const MeterLink> chain) noexcept {
  for (const MeterLink& link : chain) link.meters->flows.close();
}

}  // namespace gatehouse::policy
