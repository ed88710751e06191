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
    stands,  ///< which is fine for one that has nothing to do: wake it with GH_WAKE_ALIVE
    hung,    ///< it has stood for `timeout` since it was first asked
  };
  /// `turns`: what stands in gh_lane.turns now.
  [[nodiscard]] Sign look(std::uint64_t turns, SteadyTime now, Nanoseconds timeout) noexcept {
    if (turns != turns_) {
      turns_ = turns;
      patience_.reset();
      return Sign::moves;
    }
    return patience_.look(now) >= timeout ? Sign::hung : Sign::stands;
  }
  /// What was to wake the lane has not come to it yet: no blame so far.
  void excuse() noexcept { patience_.reset(); }

 private:
  std::uint64_t turns_ = 0;
  Patience patience_;  // since it was found to stand
};

}  // namespace gatehouse
