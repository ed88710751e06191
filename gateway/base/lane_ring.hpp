// A bounded ring from a lane to a thread that reads: neither side locks, waits or allocates. An element that finds the
// ring full is dropped and counted.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace gatehouse {

/// One writer, one reader.
template <class T, std::size_t kSize>
class LaneRing {
 public:
  /// The writer only. Calls `fill(T&)` with the place of a new element; that place may hold an older one.
  template <class Fill>
  void push(Fill fill) noexcept {
    const std::size_t at = pushed_.load(std::memory_order_relaxed);
    if (at - taken_.load(std::memory_order_acquire) >= kSize) {
      dropped_.store(dropped_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
      return;
    }
    fill(ring_[at % kSize]);
    pushed_.store(at + 1, std::memory_order_release);
  }
  /// The reader only. Calls `take(const T&)` for each element that was there when it began.
  template <class Take>
  void drain(Take take) {
    std::size_t at = taken_.load(std::memory_order_relaxed);
    for (const std::size_t end = pushed_.load(std::memory_order_acquire); at != end; ++at) {
      take(static_cast<const T&>(ring_[at % kSize]));
      taken_.store(at + 1, std::memory_order_release);
    }
  }
  /// Elements that found the ring full. Any thread.
  [[nodiscard]] std::uint64_t dropped() const noexcept { return dropped_.load(std::memory_order_relaxed); }

 private:
  std::array<T, kSize> ring_;
  alignas(64) std::atomic<std::size_t> pushed_{0};
  std::atomic<std::uint64_t> dropped_{0};
  alignas(64) std::atomic<std::size_t> taken_{0};
};

}  // namespace gatehouse
