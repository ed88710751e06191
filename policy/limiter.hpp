// Meters behind the traffic rules: how much may pass now, and which flows may begin. State and limit are apart, so that
// a new generation of rules goes on with the old state. Thread-safe and lock-free: an identity's meters are shared by
// lanes and plugins.
#pragma once

#include "policy/distinct_window.hpp"
#include "policy/limits.hpp"
#include "policy/quota_meter.hpp"

#include <atomic>
#include <cstdint>
#include <span>

namespace gatehouse::policy {

/// A limiter (table/gcra.hpp) whose state several threads share.
class SharedGcra {
 public:
  /// As Gcra::take. `taken` is what give_back() undoes.
  [[nodiscard]] std::uint64_t take(std::uint64_t now, std::uint64_t cost, std::uint64_t rate, std::uint64_t burst,
                                   std::uint64_t& taken) noexcept;
  void give_back(std::uint64_t taken) noexcept { full_at_.fetch_sub(taken, std::memory_order_relaxed); }
  /// What may pass at once now, as gcra_left has it.
  [[nodiscard]] std::uint64_t left(std::uint64_t now, std::uint64_t rate, std::uint64_t burst) const noexcept;

 private:
  std::atomic<std::uint64_t> full_at_{0};
};

/// The limit of one direction.
struct RateLimit {
  std::uint64_t rate = 0;         ///< bytes a second; 0 = no limit
  std::uint64_t burst = 0;        ///< bytes
  std::uint64_t unthrottled = 0;  ///< bytes before the rate begins

  RateLimit() = default;
  /// The burst is one second's worth unless given.
  RateLimit(const Limit& bytes_per_second, const Limit& burst_bytes, const Limit& unthrottled_bytes) noexcept;
};

/// Meters one direction of one session or identity.
class RateMeter {
 public:
  /// What one charge took, to undo it.
  struct Taken {
    std::uint64_t free_bytes = 0;
    std::uint64_t metered = 0;  ///< as SharedGcra has it
  };
  /// @return 0 = charged; else nothing was charged and so many ns are to pass first
  [[nodiscard]] std::uint64_t charge(const RateLimit& limit, std::uint64_t bytes, std::uint64_t now,
                                     Taken& taken) noexcept;
  void give_back(const Taken& taken) noexcept;
  /// Bytes of the burst that are there now.
  [[nodiscard]] std::uint64_t left(const RateLimit& limit, std::uint64_t now) const noexcept {
    return gcra_.left(now, limit.rate, limit.burst);
  }
  /// Bytes that pass before the rate begins.
  [[nodiscard]] std::uint64_t unthrottled_left(const RateLimit& limit) const noexcept;

 private:
  SharedGcra gcra_;
  std::atomic<std::uint64_t> free_used_{0};
};

/// How many are open of what one session or identity may have at once.
class OpenCount {
 public:
  /// @param limit  0 = none
  [[nodiscard]] bool try_open(std::uint64_t limit) noexcept;
  void close() noexcept { open_.fetch_sub(1, std::memory_order_relaxed); }
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
};

/// All state of one session, or of one identity or source.
struct Meters {
  RateMeter up, down;
  QuotaMeter quota;
  SharedGcra new_flows;
  OpenCount flows, sessions;
  DistinctWindow destinations;
};

/// One link of a chain of limiters: the session, which one lane owns, then what lanes share.
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

/// What charge_all() returns when a quota is used up.
inline constexpr std::uint64_t kNoMore = UINT64_MAX;

/// Charges every link, or none. At most four links.
/// @return 0 = charged; kNoMore; else how many ns the slowest link asks for
[[nodiscard]] std::uint64_t charge_all(std::span<const MeterLink> chain, Direction direction, std::uint64_t bytes,
                                       const Moment& now) noexcept;

/// Why a new flow may not begin, and which link refuses it. Concurrent flows are asked for last: ending another flow
/// helps against nothing else.
enum class FlowRefusal : std::uint8_t { none, quota, destinations, new_flow_rate, concurrent_flows };
struct FlowOpening {
  FlowRefusal refusal = FlowRefusal::none;
  std::size_t link = 0;
};

/// Counts a new flow in every link, or in none. At most four links; no two threads have the first in common.
/// @param destination  a hash of the canonical address; see DistinctWindow
[[nodiscard]] FlowOpening open_flow(std::span<const MeterLink> chain, std::uint64_t destination,
                                    const Moment& now) noexcept;
void close_flow(std::span<const MeterLink> chain) noexcept;

}  // namespace gatehouse::policy
