#include "policy/limiter.hpp"

#include <algorithm>
#include <array>
#include <cassert>

namespace gatehouse::policy {
namespace {

constexpr std::size_t kMostLinks = 4;

}  // namespace

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

namespace {

/// How long the next packet has to wait, after what could go has gone.
std::uint64_t wait_for(std::span<const MeterLink> chain, bool up, std::uint64_t packet, const Moment& now) noexcept {
  std::uint64_t longest = 1;  // others may have given something back meanwhile
  for (const auto& [meters, limits] : chain) {
    if (!meters->quota.has_room(limits->quota, packet, now.periods)) return kNoMore;
    longest = std::max(longest, up ? meters->up.wait(limits->up, packet, now.steady_ns)
                                   : meters->down.wait(limits->down, packet, now.steady_ns));
  }
  return std::min(longest, kNoMore - 1);
}

}  // namespace

Grant charge_all(std::span<const MeterLink> chain, Direction direction, const PacketRun& run,
                 const Moment& now) noexcept {
  assert(chain.size() <= kMostLinks);
  const bool up = direction == Direction::up;
  const auto meter = [up](const MeterLink& link) -> RateMeter& { return up ? link.meters->up : link.meters->down; };
  const auto rate = [up](const MeterLink& link) -> const RateLimit& {
    return up ? link.limits->up : link.limits->down;
  };
  std::array<std::uint64_t, kMostLinks> of_quota;
  std::array<RateMeter::Taken, kMostLinks> of_rate;
  PacketRun passing = run;  // what all links so far let through
  for (std::size_t i = 0; i < chain.size(); ++i) {
    of_quota[i] = chain[i].meters->quota.charge(chain[i].limits->quota, passing, now.periods);
    passing = passing.first(of_quota[i]);
  }
  for (std::size_t i = 0; i < chain.size(); ++i)
    passing = passing.first(meter(chain[i]).charge(rate(chain[i]), passing, now.steady_ns, of_rate[i]));
  if (passing.bytes == run.bytes) return {run.bytes, 0};

  for (std::size_t i = 0; i < chain.size(); ++i) {
    chain[i].meters->quota.give_back(chain[i].limits->quota, of_quota[i] - passing.bytes, now.periods);
    meter(chain[i]).keep_only(rate(chain[i]), of_rate[i], passing.bytes);
  }
  return {passing.bytes, wait_for(chain, up, run.next(passing.bytes), now)};
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

/// The first link last: that it would admit holds, as a rule, for a session rarely has two clients at once.
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
