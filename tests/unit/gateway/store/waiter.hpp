// A completion of gh.sessions/1 or gh.values/1 that a test can look at.
#pragma once

#include <gatehouse/abi.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>

namespace gatehouse {

/// Somebody who waits for a change to be durable.
struct Waiter {
  std::atomic<int> calls{0};
  std::atomic<gh_status> status{GH_OK};
  gh_completion completion{[](void* self, std::uint64_t, gh_status how) {
                             static_cast<Waiter*>(self)->status = how;
                             ++static_cast<Waiter*>(self)->calls;
                           },
                           this, 0};
  using Clock = std::chrono::steady_clock;
  [[nodiscard]] bool came(std::chrono::milliseconds within = std::chrono::seconds(5)) const {
    for (const auto end = Clock::now() + within; calls == 0 && Clock::now() < end;)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return calls > 0;
  }
};

}  // namespace gatehouse
