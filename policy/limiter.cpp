#include "policy/limiter.hpp"

#include <algorithm>
#include <array>
#include <cassert>

namespace gatehouse::policy {
namespace {

constexpr std::size_t kMostLinks = 4;
constexpr std::uint64_t kSecond = 1'000'000'000;

}  // namespace

std::uint64_t SharedGcra::take(std::uint64_t cost, std::uint64_t burst, std::uint64_t now) noexcept {
  std::uint64_t seen = arrival_.load(std::memory_order_relaxed);
  for (;;) {
    const std::uint64_t next = std::max(seen, now) + cost;
    const std::uint64_t latest = now + std::max(burst, cost);
    if (next > latest) return next - latest;
    if (arrival_.compare_exchange_weak(seen, next, std::memory_order_relaxed)) return 0;
  }
}

RateLimit::RateLimit(const Limit& rate, const Limit& burst, const Limit& unthrottled_bytes) noexcept {
  const std::uint64_t bytes_per_second = rate.or_none();
  if (bytes_per_second == 0) return;
  ns_per_byte = static_cast<double>(kSecond) / static_cast<double>(bytes_per_second);
  burst_ns =
      burst.or_none() == 0 ? kSecond : static_cast<std::uint64_t>(ns_per_byte * static_cast<double>(*burst.value));
  unthrottled = unthrottled_bytes.or_none();
}

std::uint64_t RateMeter::charge(const RateLimit& limit, std::uint64_t bytes, std::uint64_t now, Taken& taken) noexcept {
  taken = {};
  if (!limit.limits()) return 0;
  std::uint64_t used = free_used_.load(std::memory_order_relaxed);
  while (used < limit.unthrottled) {
    taken.free_bytes = std::min(bytes, limit.unthrottled - used);
    if (free_used_.compare_exchange_weak(used, used + taken.free_bytes, std::memory_order_relaxed)) break;
    taken.free_bytes = 0;
  }
  const auto cost = static_cast<std::uint64_t>(limit.ns_per_byte * static_cast<double>(bytes - taken.free_bytes));
  if (cost == 0) return 0;
  const std::uint64_t wait = gcra_.take(cost, limit.burst_ns, now);
  if (wait == 0) {
    taken.cost = cost;
  } else {
    give_back(taken);
    taken = {};
  }
  return wait;
}

void RateMeter::give_back(const Taken& taken) noexcept {
  if (taken.free_bytes > 0) free_used_.fetch_sub(taken.free_bytes, std::memory_order_relaxed);
  if (taken.cost > 0) gcra_.give_back(taken.cost);
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
      new_flow_ns(limits.new_flows_per_second.or_none() == 0
                      ? 0
                      : std::max<std::uint64_t>(1, kSecond / *limits.new_flows_per_second.value)) {}

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
  for (std::size_t i = 0; i < chain.size(); ++i) {
    const std::uint64_t cost = chain[i].limits->new_flow_ns;
    if (cost == 0 || chain[i].meters->new_flows.take(cost, kSecond, now) == 0) continue;
    for (std::size_t paid = 0; paid < i; ++paid)
      if (chain[paid].limits->new_flow_ns != 0)
        chain[paid].meters->new_flows.give_back(chain[paid].limits->new_flow_ns);
    close_flow(chain);
    return {FlowRefusal::new_flow_rate, i};
  }
  return {};
}

void close_flow(std::span<const MeterLink> chain) noexcept {
  for (const MeterLink& link : chain) link.meters->flows.close();
}

}  // namespace gatehouse::policy
