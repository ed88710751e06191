// A bounded queue into one lane, for what the kernel could not steer there itself: a resumed stream's descriptor, a
// packet of another lane's session. Any thread sends, one receives; nobody waits.
// Nobody uses it yet: the packet tunnel and the relay will.
#pragma once

#include <gatehouse/async/wake_event.hpp>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

namespace gatehouse {

/// Values are delivered in the order of each sender, and what is left is destroyed with the channel. No allocation
/// after construction.
///
/// Each cell has a turn counter (Vyukov's bounded queue). Memory order: a sender claims a cell by a relaxed
/// compare-exchange of `tail_`, writes the value and stores the turn with release; the receiver loads the turn with
/// acquire, moves the value out and stores the next turn with release, which the sender of the next round acquires. A
/// sender that is stopped between claim and store holds back what was sent after it, until it goes on and signals.
template <class T>
class LaneChannel {
  static_assert(std::is_nothrow_move_constructible_v<T> && std::is_nothrow_destructible_v<T>);

 public:
  /// @param capacity  values that may wait; rounded up to a power of two, 2 at least
  /// @throws boost::system::system_error when there is no descriptor left
  explicit LaneChannel(std::size_t capacity)
      : mask_(std::bit_ceil(std::max<std::size_t>(capacity, 2)) - 1), cells_(std::make_unique<Cell[]>(mask_ + 1)) {
    assert(capacity > 0);
    for (std::size_t i = 0; i <= mask_; ++i) cells_[i].turn.store(i, std::memory_order_relaxed);
  }
  LaneChannel(const LaneChannel&) = delete;
  LaneChannel& operator=(const LaneChannel&) = delete;
  ~LaneChannel() {
    receive([](T&&) noexcept {});
  }

  /// [any thread] Moves `value` into the channel and wakes the receiver; false when it is full, and `value` is
  /// untouched.
  [[nodiscard]] bool try_send(T&& value) noexcept {
    std::size_t ticket = tail_.load(std::memory_order_relaxed);
    for (;;) {
      Cell& cell = cells_[ticket & mask_];
      const auto ahead = static_cast<std::ptrdiff_t>(cell.turn.load(std::memory_order_acquire) - ticket);
      if (ahead < 0) return false;  // not yet received since the last round
      if (ahead > 0) {              // another sender was faster
        ticket = tail_.load(std::memory_order_relaxed);
      } else if (tail_.compare_exchange_weak(ticket, ticket + 1, std::memory_order_relaxed)) {
        std::construct_at(&cell.value, std::move(value));
        cell.turn.store(ticket + 1, std::memory_order_release);
        event_.signal();
        return true;
      }
    }
  }

  /// [receiver] Calls take(T&&) for up to `budget` values and returns their number. To be called when fd() is readable;
  /// if more is left, fd() stays so.
  template <class Take>
  std::size_t receive(Take&& take, std::size_t budget = SIZE_MAX) {
    event_.clear();
    std::size_t count = 0;
    for (; count < budget && is_ready(); ++count) {
      Cell& cell = cells_[head_ & mask_];
      T value = std::move(cell.value);
      std::destroy_at(&cell.value);
      cell.turn.store(head_ + mask_ + 1, std::memory_order_release);
      ++head_;
      take(std::move(value));
    }
    if (count == budget && is_ready()) event_.signal();
    return count;
  }

  /// [receiver] Readable when there may be something: put it into the lane's epoll set, level-triggered.
  [[nodiscard]] int fd() const noexcept { return event_.fd(); }
  [[nodiscard]] std::size_t capacity() const noexcept { return mask_ + 1; }

 private:
  struct Cell {
    Cell() noexcept {}
    ~Cell() {}
    std::atomic<std::size_t> turn{0};  // = ticket: free for it; = ticket + 1: holds its value
    union {
      T value;
    };
  };

  bool is_ready() const noexcept { return cells_[head_ & mask_].turn.load(std::memory_order_acquire) == head_ + 1; }

  const std::size_t mask_;
  const std::unique_ptr<Cell[]> cells_;
  WakeEvent event_;
  alignas(64) std::atomic<std::size_t> tail_{0};  // the senders'
  alignas(64) std::size_t head_ = 0;              // the receiver's
};

}  // namespace gatehouse
