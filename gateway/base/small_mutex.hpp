// A mutex of four bytes, for records by the hundred thousand.
#pragma once

#include <atomic>
#include <cstdint>

namespace gatehouse {

/// Lockable; for what is held for some hundred ns and rarely wanted by two. Who waits is woken by whoever unlocks.
class SmallMutex {
 public:
  SmallMutex() = default;
  SmallMutex(const SmallMutex&) = delete;
  SmallMutex& operator=(const SmallMutex&) = delete;

  void lock() noexcept {
    while (locked_.exchange(1, std::memory_order_acquire) != 0) locked_.wait(1, std::memory_order_relaxed);
  }
  void unlock() noexcept {
    locked_.store(0, std::memory_order_release);
    locked_.notify_one();
  }

 private:
  std::atomic<std::uint32_t> locked_{0};
};

}  // namespace gatehouse
