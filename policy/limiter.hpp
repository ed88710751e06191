// Meters behind the traffic rules: how much may pass now, and which flows may begin. State and limit are apart, so that
// a new generation of rules goes on with the old state. Thread-safe and lock-free: an identity's meters are shared by
// lanes and plugins.
#pragma once

#include "policy/distinct_window.hpp"
#include "policy/limits.hpp"
#include "policy/quota_meter.hpp"
#include "policy/rate_meter.hpp"

#include <atomic>
#include <cstdint>
#include <span>

namespace gatehouse::policy {

/// How many are open of what one session or identity may have at once.
class OpenCount {
 public:
  /// @param limit  0 = none
  [[nodiscard]] bool try_open(std::uint64_t limit) noexcept;
  void close() noexcept { open_.fetch_sub(1, std::memory_order_relaxed); }
  /// So many more, that were opened before anybody counted.
  void add(std::uint64_t open) noexcept { open_.fetch_add(open, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t open() const noexcept { return open_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> open_{0};
};

/// The limits of one scope in the form that meters take; 0 = no limit.
struct MeterLimits {
  RateLimit up, down;
  QuotaLimit quota;
  std::uint64_t concurrent_flows = 0;
  std::uint64_t new_flows_per_second = 0;     ///< the burst is one second's worth
  std::uint64_t destinations_per_minute = 0;  ///< at most DistinctWindow::kMostThings

  MeterLimits() = default;
  explicit MeterLimits(const ScopeLimits& limits) noexcept;
  [[nodiscard]] bool meters_traffic() const noexcept { return up.rate != 0 || down.rate != 0 || quota.bytes != 0; }
  [[nodiscard]] bool any() const noexcept {
    return meters_traffic() || concurrent_flows != 0 || new_flows_per_second != 0 || destinations_per_minute != 0;
  }
};

/// All state of one session, or of one identity or source.
struct Meters {
  RateMeter up, down;
  QuotaMeter quota;
  SharedGcra new_flows;
  OpenCount flows, sessions;
  DistinctWindow destinations;
};

/// One link of a chain of limiters: the session's, then those of its identity or source.
struct MeterLink {
  Meters* meters = nullptr;
  const MeterLimits* limits = nullptr;
};

enum class Direction : std::uint8_t { up = 0, down = 1 };

/// The same instant on two clocks.
struct Moment {
  std::uint64_t steady_ns = 0;
  Periods periods;
};

/// What Grant::wait says when a quota is used up.
inline constexpr std::uint64_t kNoMore = UINT64_MAX;

/// What may go of a run.
struct Grant {
  std::uint64_t bytes = 0;  ///< of the packets that may go now, which are charged
  std::uint64_t wait =
      0;  ///< unless all may: ns until the next packet may, never 0; kNoMore = a quota has no room for it
};

/// Charges every link for the packets that all of them let through. At most four links.
[[nodiscard]] Grant charge_all(std::span<const MeterLink> chain, Direction direction, const PacketRun& run,
                               const Moment& now) noexcept;

/// Why a new flow may not begin, and which link refuses it. Concurrent flows are asked for last: ending another flow
/// helps against nothing else.
enum class FlowRefusal : std::uint8_t { none, quota, destinations, new_flow_rate, concurrent_flows };
struct FlowOpening {
  FlowRefusal refusal = FlowRefusal::none;
  std::size_t link = 0;
};

/// Counts a new flow in every link, or in none. At most four links. Where two threads are after the last destination of
/// the first link, the one that does not get it may leave its destination counted in the others, until the minute ends.
/// @param destination  a hash of the canonical address; see DistinctWindow
[[nodiscard]] FlowOpening open_flow(std::span<const MeterLink> chain, std::uint64_t destination,
                                    const Moment& now) noexcept;
void close_flow(std::span<const MeterLink> chain) noexcept;

}  // namespace gatehouse::policy
