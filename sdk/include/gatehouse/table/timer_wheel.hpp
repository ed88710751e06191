// Thousands of timers in a hierarchical wheel (Varghese and Lauck, 1987): setting, moving and cancelling one is a few
// pointer writes. One per lane: no call is thread-safe, the destructor of a node included.
#pragma once

#include <gatehouse/base/clock.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cstdint>

namespace gatehouse {

/// The links of a timer, to be inherited by what it belongs to. Cancels itself when it is destroyed. 24 bytes.
class TimerNode {
 public:
  TimerNode() = default;
  TimerNode(const TimerNode&) = delete;
  TimerNode& operator=(const TimerNode&) = delete;
  ~TimerNode() { cancel(); }

  [[nodiscard]] bool is_scheduled() const noexcept { return next_ != nullptr; }

  /// Nothing happens if it is not scheduled.
  void cancel() noexcept {
    if (next_ == nullptr) return;
    previous_->next_ = next_;
    next_->previous_ = previous_;
    previous_ = next_ = nullptr;
  }

 private:
  template <class Owner>
  friend class TimerWheel;

  TimerNode* previous_ = nullptr;
  TimerNode* next_ = nullptr;
  std::uint64_t tick_ = 0;  // when it expires
};

/// Calls owners when their time has come: never early, and late by less than one tick beyond the call of advance().
///
/// For idle times do not move a timer with each packet: note the time of the packet in the flow, and when the timer
/// expires, schedule it again for what is left.
///
/// Stages: a timer stands in the level of the highest base-64 digit in which its tick differs from the present one, in
/// the slot of that digit. So every timer of a level is earlier than those of the level above, and when the present
/// reaches a slot of an upper level, its timers are dealt out to lower ones. Eleven levels hold any 64-bit tick (17
/// KB).
template <class Owner = TimerNode>
class TimerWheel {
 public:
  /// @param now   the wheel's time until the first advance()
  /// @param tick  the resolution, 1 ns at least
  explicit TimerWheel(SteadyTime now, Nanoseconds tick = std::chrono::milliseconds(1)) noexcept
      : origin_(now), tick_(static_cast<std::uint64_t>(tick.count())) {
    assert(tick.count() > 0);
    for (Level& level : levels_)
      for (TimerNode& head : level.slots) head.previous_ = head.next_ = &head;
  }
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;
  ~TimerWheel() {
    for (Level& level : levels_)
      for (TimerNode& head : level.slots)
        while (head.next_ != &head) head.next_->cancel();
  }

  /// Sets the timer, or moves it. A deadline that has passed counts as the next tick. O(1), about 5 ns.
  void schedule(Owner& owner, SteadyTime deadline) noexcept {
    TimerNode& node = owner;
    node.cancel();
    node.tick_ = std::max(ticks_until(deadline, tick_ - 1), now_ + 1);
    place(node);
  }

  /// Calls expired(Owner&) for every timer whose deadline is not after `now`, in order of their ticks. The timer is no
  /// longer scheduled then; the call may schedule, cancel and destroy any timer (what it schedules expires in a later
  /// advance()). Returns how many expired.
  ///
  /// @param budget  after so many calls the rest waits for the next advance(); next() then lies in the past
  template <class Expired>
  std::size_t advance(SteadyTime now, Expired&& expired, std::size_t budget = SIZE_MAX) {
    now_ = std::max(ticks_until(now, 0), now_);
    std::size_t count = 0;
    for (Slot slot; (slot = first_slot()).head != nullptr && slot.tick <= now_;) {
      if (slot.level == 0 && count == budget) return count;
      present_ = slot.tick;
      TimerNode& node = *slot.head->next_;
      if (slot.level > 0) {
        deal_out(*slot.head);
      } else {
        node.cancel();
        ++count;
        expired(static_cast<Owner&>(node));
      }
    }
    present_ = now_;
    return count;
  }

  /// When advance() should be called: never later than the first deadline, rounded up to a tick, and earlier where
  /// that one is still in an upper level (a wake-up or two in the life of a long timer). SteadyTime::max() without
  /// timers.
  [[nodiscard]] SteadyTime next() noexcept {
    const Slot slot = first_slot();
    if (slot.head == nullptr) return SteadyTime::max();
    return slot.tick > most_ticks() ? SteadyTime::max() : origin_ + Nanoseconds(slot.tick * tick_);
  }

 private:
  static constexpr unsigned kDigit = 6;  // bits
  static constexpr unsigned kLevels = 11;

  struct Level {
    std::uint64_t occupied = 0;  // a bit a slot; may be set for a slot that has been emptied since
    std::array<TimerNode, 64> slots;
  };
  struct Slot {
    TimerNode* head = nullptr;
    unsigned level = 0;
    std::uint64_t tick = 0;  // at which it begins
  };

  [[nodiscard]] std::uint64_t most_ticks() const noexcept {
    return static_cast<std::uint64_t>((SteadyTime::max() - origin_).count()) / tick_;
  }

  std::uint64_t ticks_until(SteadyTime time, std::uint64_t rounding) const noexcept {
    if (time <= origin_) return 0;
    return (static_cast<std::uint64_t>((time - origin_).count()) + rounding) / tick_;
  }

  void place(TimerNode& node) noexcept {
    const auto highest = static_cast<unsigned>(std::bit_width((node.tick_ ^ present_) | 1)) - 1;
    Level& level = levels_[highest / kDigit];
    const unsigned slot = (node.tick_ >> (highest / kDigit * kDigit)) & 63;
    level.occupied |= std::uint64_t{1} << slot;
    TimerNode& head = level.slots[slot];
    node.next_ = &head;
    node.previous_ = head.previous_;
    head.previous_->next_ = &node;
    head.previous_ = &node;
  }

  void deal_out(TimerNode& head) noexcept {
    while (head.next_ != &head) {
      TimerNode& node = *head.next_;
      node.cancel();
      place(node);
    }
  }

  // The earliest slot that holds a timer; forgets emptied ones on its way.
  Slot first_slot() noexcept {
    for (unsigned i = 0; i < kLevels; ++i) {
      Level& level = levels_[i];
      for (; level.occupied != 0; level.occupied &= level.occupied - 1) {
        const auto slot = static_cast<unsigned>(std::countr_zero(level.occupied));
        TimerNode& head = level.slots[slot];
        if (head.next_ == &head) continue;
        const unsigned shift = i * kDigit;
        const std::uint64_t above = shift + kDigit < 64 ? present_ >> (shift + kDigit) << (shift + kDigit) : 0;
        return {&head, i, above | std::uint64_t{slot} << shift};
      }
    }
    return {};
  }

  SteadyTime origin_;
  std::uint64_t tick_;         // ns
  std::uint64_t now_ = 0;      // ticks since origin_, by the last advance()
  std::uint64_t present_ = 0;  // the tick that the levels are dealt out for: now_, or before it while timers expire
  std::array<Level, kLevels> levels_;
};

}  // namespace gatehouse
