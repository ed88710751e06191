// Tells a lane that is so busy with small reads that waiting a moment pays: what is read and written in one turn costs
// 0.5 us a datagram, and a turn with its sleep and wake some 28 us, so everything hangs on how many a turn has.
#pragma once

#include <gatehouse/base/clock.hpp>

#include <algorithm>
#include <cstddef>

namespace gatehouse {

/// A leaky bucket: a drop for each datagram that came, 32 at most, of which 40,000 leak a second. From 16 on the lane
/// is busy. So what comes more slowly than that is never delayed, but for the tail of a burst of 16. One per lane, in
/// its LaneLoop; arithmetic only, a few ns a call.
///
/// The figures are measured, not settings (server and load on a core each, 1400 B down): without pauses 3.4 us of CPU a
/// datagram at 200,000 a second, with them 1.8, and 99 in 100 within 0.3 ms instead of 1.6. 100 us would save another
/// fifth and delay twice as much; pausing after the write instead of before it saves less, and waiting in epoll_wait or
/// in a busy loop nothing.
class BusyBucket {
 public:
  static constexpr Nanoseconds kPause{50'000};  ///< of one turn
  static constexpr std::size_t kEnough = 8;     ///< datagrams; a turn that found so many does not wait for more

  /// A turn begins at `now`.
  void begin_turn(SteadyTime now) noexcept {
    empty_at_ = std::max(empty_at_, now);
    now_ = now;
    found_ = 0;
    limited_ = false;
  }
  /// `datagrams` came in this turn, from the side that is to be gathered: downstream, where one write takes them all.
  void add(std::size_t datagrams) noexcept {
    found_ += datagrams;
    const Nanoseconds drops = static_cast<std::int64_t>(std::min(datagrams, kFull)) * kLeak;
    empty_at_ = std::min(empty_at_ + drops, now_ + kFullTime);
  }
  /// A socket was left with more in it, so that others have their turn: there is no waiting for what is there.
  void reached_limit() noexcept { limited_ = true; }

  /// Shall this turn sleep kPause once, outside of epoll_wait so that nothing wakes it, read again, and only then
  /// write? When it is busy and has found little: the rest is under way. What came at once is written at once.
  [[nodiscard]] bool wants_pause() const noexcept {
    return found_ != 0 && found_ < kEnough && !limited_ && empty_at_ - now_ >= kBusyTime;
  }

 private:
  static constexpr Nanoseconds kLeak{25'000};  // the time of one drop
  static constexpr std::size_t kFull = 32;     // drops
  static constexpr Nanoseconds kFullTime = 32 * kLeak, kBusyTime = 16 * kLeak;

  SteadyTime now_{}, empty_at_{};
  std::size_t found_ = 0;  // in this turn
  bool limited_ = false;
};

}  // namespace gatehouse
