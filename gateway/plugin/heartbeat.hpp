// Does a lane still move? By gh_lane.turns, which it raises in each turn and when it is woken with GH_WAKE_ALIVE.
#pragma once

#include "gateway/plugin/patience.hpp"

#include <cstdint>

namespace gatehouse {

/// Control thread only.
class Heartbeat {
 public:
  enum class Sign {
    moves,
    ask,   ///< it stands still, which is fine for one that has nothing to do: wake it with GH_WAKE_ALIVE
    wait,  ///< it was asked and has not answered yet
    hung,  ///< for `timeout`
  };
  /// `turns`: what stands in gh_lane.turns now.
  [[nodiscard]] Sign look(std::uint64_t turns, SteadyTime now, Nanoseconds timeout) noexcept {
    if (turns != turns_) {
      turns_ = turns;
      asked_ = false;
      return Sign::moves;
    }
    if (!asked_) {
      asked_ = true;
      patience_.reset();
      static_cast<void>(patience_.look(now));
      return Sign::ask;
    }
    return patience_.look(now) >= timeout ? Sign::hung : Sign::wait;
  }

 private:
  std::uint64_t turns_ = 0;
  bool asked_ = false;
  Patience patience_;  // since it was asked
};

}  // namespace gatehouse
