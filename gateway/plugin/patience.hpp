// How long somebody has been waited for.
#pragma once

#include <gatehouse/base/clock.hpp>

#include <algorithm>

namespace gatehouse {

/// Counts only the time that the waiting one was there to look: a process that was stopped itself (SIGSTOP, a machine
/// that slept) has waited for nobody.
class Patience {
 public:
  /// Nobody looks for longer than that, while all is well: twice the pause of an idle gateway.
  static constexpr Nanoseconds kLongestLook = std::chrono::seconds(2);

  void reset() noexcept { *this = Patience(); }
  /// Looks, at a time not before the last look. Returns how long it has been waited since the first look.
  Nanoseconds look(SteadyTime now) noexcept {
    if (has_looked_) waited_ += std::clamp(now - last_look_, Nanoseconds(0), kLongestLook);
    has_looked_ = true;
    last_look_ = now;
    return waited_;
  }

 private:
  bool has_looked_ = false;
  SteadyTime last_look_{};
  Nanoseconds waited_{0};
};

}  // namespace gatehouse
