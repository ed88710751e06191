#include "policy/meter_reading.hpp"

namespace gatehouse::policy {
namespace {

RateReading read_rate(const RateMeter& meter, const RateLimit& limit, std::uint64_t now) noexcept {
  return {meter.left(limit, now), meter.unthrottled_left(limit)};
}

}  // namespace

MeterReading read_meters(const Meters& meters, const MeterLimits& limits, const Moment& now) noexcept {
  MeterReading out;
  out.up = read_rate(meters.up, limits.up, now.steady_ns);
  out.down = read_rate(meters.down, limits.down, now.steady_ns);
  out.quota_used = meters.quota.used(limits.quota, now.periods);
  out.new_flows_left = meters.new_flows.left(now.steady_ns, limits.new_flows_per_second, limits.new_flows_per_second);
  out.destinations = meters.destinations.counted(now.steady_ns);
  out.flows = meters.flows.open();
  out.sessions = meters.sessions.open();
  return out;
}

}  // namespace gatehouse::policy
