// A rate limiter in eight bytes: the generic cell rate algorithm (ITU-T I.371, annex A), which is a token bucket that
// stores only when it would be full again. A value; whoever owns it serialises the calls.
#pragma once

#include <algorithm>
#include <cstdint>

namespace gatehouse {

/// What taking from a limiter comes to.
struct GcraStep {
  std::uint64_t full_at = 0;  ///< the limiter's next state if `wait` is 0, else its old one
  std::uint64_t wait = 0;     ///< ns until the same amount can be taken; 0 = it was
};

/// One step as a pure function, for limiters that are shared through an atomic (compare-exchange `full_at`).
///
/// @param full_at  the state: when the bucket is full again, in ns; 0 = a full bucket
/// @param now      ns on the same clock
/// @param cost     units to take (bytes, packets, flows)
/// @param rate     units per second; 0 = no limit
/// @param burst    units that may pass at once. A cost above it passes when the bucket is full, and is paid for later
///
/// Right for every input: sums are made in 128 bits, and the state stops at the end of time. Rounds in favour of the
/// limit by less than 1 ns a take. About 5 ns, with two 64-bit divisions, one where the bucket is full.
[[nodiscard]] constexpr GcraStep gcra_step(std::uint64_t full_at, std::uint64_t now, std::uint64_t cost,
                                           std::uint64_t rate, std::uint64_t burst) noexcept {
  __extension__ using Wide = unsigned __int128;
  constexpr std::uint64_t kSecond = 1'000'000'000;
  constexpr std::uint64_t kNarrow = (UINT64_MAX - UINT32_MAX) / kSecond;  // up to here 64 bits are enough
  if (rate == 0 || cost == 0) return {full_at, 0};

  const auto duration = [rate](std::uint64_t units) -> Wide {
    if (units <= kNarrow && rate <= UINT32_MAX) return (units * kSecond + rate - 1) / rate;
    return (Wide{units} * kSecond + rate - 1) / rate;
  };
  const Wide next = std::max(full_at, now) + duration(cost);
  if (full_at > now) {  // not full
    const Wide latest = now + duration(std::max(burst, cost));
    if (next > latest) return {full_at, static_cast<std::uint64_t>(std::min<Wide>(next - latest, UINT64_MAX))};
  }
  return {static_cast<std::uint64_t>(std::min<Wide>(next, UINT64_MAX)), 0};
}

/// The largest cost, up to `burst`, that gcra_step() would take now; `burst` at rate 0. For people who look at a
/// limiter.
[[nodiscard]] constexpr std::uint64_t gcra_left(std::uint64_t full_at, std::uint64_t now, std::uint64_t rate,
                                                std::uint64_t burst) noexcept {
  __extension__ using Wide = unsigned __int128;
  constexpr std::uint64_t kSecond = 1'000'000'000;
  if (rate == 0 || full_at <= now) return burst;
  const Wide whole = (Wide{burst} * kSecond + rate - 1) / rate;  // ns that the burst is worth
  const std::uint64_t owed = full_at - now;
  if (owed >= whole) return 0;
  const Wide units = (whole - owed) / kSecond * rate + (whole - owed) % kSecond * rate / kSecond;
  return static_cast<std::uint64_t>(std::min<Wide>(units, burst));
}

/// One limiter. Rate and burst are arguments, because they change with the policy while the state stays.
class Gcra {
 public:
  /// Takes `cost` if it is there and returns 0; else takes nothing and returns the ns until it would be.
  [[nodiscard]] constexpr std::uint64_t take(std::uint64_t now, std::uint64_t cost, std::uint64_t rate,
                                             std::uint64_t burst) noexcept {
    const GcraStep step = gcra_step(full_at_, now, cost, rate, burst);
    full_at_ = step.full_at;
    return step.wait;
  }

  /// What take() would return; takes nothing. For chains of limiters that are charged all or none.
  [[nodiscard]] constexpr std::uint64_t wait(std::uint64_t now, std::uint64_t cost, std::uint64_t rate,
                                             std::uint64_t burst) const noexcept {
    return gcra_step(full_at_, now, cost, rate, burst).wait;
  }

  /// Has nothing been taken that is not refilled? Such a limiter may be forgotten.
  [[nodiscard]] constexpr bool is_full(std::uint64_t now) const noexcept { return full_at_ <= now; }

 private:
  std::uint64_t full_at_ = 0;
};

}  // namespace gatehouse
