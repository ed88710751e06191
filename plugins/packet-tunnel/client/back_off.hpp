// How long to wait before the next attempt. A value.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace gatehouse::packet_tunnel {

class BackOff {
 public:
  static constexpr std::chrono::milliseconds kFirst{250}, kLongest{30'000}, kLongestAsked{600'000};

  /// The wait before the next attempt: at once after a connection that worked, then twice as long each time, between
  /// half of that and all of it, so that many clients do not come at the same instant.
  /// @param asked   what the server has asked for; 0 = nothing. It is waited for, with up to a fifth more
  /// @param random  any number
  [[nodiscard]] std::chrono::milliseconds next(std::chrono::milliseconds asked, std::uint32_t random) noexcept {
    const auto part_of = [random](std::chrono::milliseconds most) {
      return std::chrono::milliseconds(most.count() == 0 ? 0 : random % (most.count() + 1));
    };
    if (is_fresh_ && asked.count() == 0) {
      is_fresh_ = false;
      return part_of(kFirst / 5);
    }
    is_fresh_ = false;
    const auto wait = next_;
    next_ = std::min(next_ * 2, kLongest);
    if (asked.count() > 0) return std::min(asked, kLongestAsked) + part_of(std::min(asked, kLongestAsked) / 5);
    return wait / 2 + part_of(wait / 2);
  }
  /// A connection has worked.
  void reset() noexcept {
    next_ = kFirst;
    is_fresh_ = true;
  }

 private:
  std::chrono::milliseconds next_ = kFirst;
  bool is_fresh_ = false;
};

}  // namespace gatehouse::packet_tunnel
