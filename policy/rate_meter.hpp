// How many bytes may pass now in one direction, at a rate with a burst and bytes before the rate begins. State and
// limit are apart as in limiter.hpp. Thread-safe and lock-free.
#pragma once

#include "policy/limits.hpp"
#include "policy/packet_run.hpp"

#include <gatehouse/table/gcra.hpp>

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace gatehouse::policy {

/// A limiter (table/gcra.hpp) whose state several threads share.
class SharedGcra {
 public:
  /// As Gcra::take. `taken` is what give_back() undoes.
  [[nodiscard]] std::uint64_t take(std::uint64_t now, std::uint64_t cost, std::uint64_t rate, std::uint64_t burst,
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
  /// Takes as many packets as may go now, one after another: those that fit into what is left of the burst, or one
  /// that is larger than a burst where that is full.
  /// @param rate       not 0
  /// @param free_bytes  of the run's front cost nothing
  /// @return the bytes of those packets
  [[nodiscard]] std::uint64_t take(std::uint64_t now, const PacketRun& run, std::uint64_t free_bytes,
                                   std::uint64_t rate, std::uint64_t burst, std::uint64_t& taken) noexcept;
  void give_back(std::uint64_t taken) noexcept { full_at_.fetch_sub(taken, std::memory_order_relaxed); }
  /// What take() would return for that cost; takes nothing.
  [[nodiscard]] std::uint64_t wait(std::uint64_t now, std::uint64_t cost, std::uint64_t rate,
                                   std::uint64_t burst) const noexcept;
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
  /// What one charge took, to undo some of it.
  struct Taken {
    std::uint64_t bytes = 0;
    std::uint64_t free_bytes = 0;  ///< of these, from before the rate begins
    std::uint64_t metered = 0;     ///< as SharedGcra has it
  };
  /// @return the bytes of the packets that may go now, which are charged
  [[nodiscard]] std::uint64_t charge(const RateLimit& limit, const PacketRun& run, std::uint64_t now,
                                     Taken& taken) noexcept {
    taken = {run.bytes, 0, 0};
    return limit.rate == 0 || charge_whole(limit, run, now, taken) ? run.bytes : charge_part(limit, run, now, taken);
  }
  /// Undoes a charge but for its first `bytes`.
  void keep_only(const RateLimit& limit, const Taken& taken, std::uint64_t bytes) noexcept;
  /// How many ns until a packet of so many bytes may go.
  [[nodiscard]] std::uint64_t wait(const RateLimit& limit, std::uint64_t bytes, std::uint64_t now) const noexcept;
  /// Bytes of the burst that are there now.
  [[nodiscard]] std::uint64_t left(const RateLimit& limit, std::uint64_t now) const noexcept {
    return gcra_.left(now, limit.rate, limit.burst);
  }
  /// Bytes that pass before the rate begins.
  [[nodiscard]] std::uint64_t unthrottled_left(const RateLimit& limit) const noexcept {
    return limit.unthrottled - std::min(limit.unthrottled, free_used_.load(std::memory_order_relaxed));
  }

 private:
  /// The usual case: nothing is free any more, and all of it may go.
  [[nodiscard]] bool charge_whole(const RateLimit& limit, const PacketRun& run, std::uint64_t now,
                                  Taken& taken) noexcept {
    return (run.packets <= 1 || run.bytes <= limit.burst) && unthrottled_left(limit) == 0 &&
           gcra_.take(now, run.bytes, limit.rate, limit.burst, taken.metered) == 0;
  }
  [[nodiscard]] std::uint64_t charge_part(const RateLimit& limit, const PacketRun& run, std::uint64_t now,
                                          Taken& taken) noexcept;
  [[nodiscard]] std::uint64_t take_free(const RateLimit& limit, std::uint64_t bytes) noexcept;

  SharedGcra gcra_;
  std::atomic<std::uint64_t> free_used_{0};
};

}  // namespace gatehouse::policy
