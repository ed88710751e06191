// Which VNIs a lane may give out: of the ranges that this gateway has, those that are congruent to its number. The
// kernel steers by that, so a packet comes to the lane that owns its endpoint.
#pragma once

#include "plugins/geneve-relay/server/vni_set.hpp"

#include <gatehouse/plugin/ranges.hpp>

#include <cstdint>
#include <optional>
#include <vector>

namespace gatehouse::geneve_relay {

/// The lane of a VNI's endpoint.
[[nodiscard]] inline std::uint32_t lane_of(std::uint32_t vni, std::uint32_t lanes) noexcept { return vni % lanes; }

/// One lane's; not thread-safe.
class LaneVnis {
 public:
  /// @param lane   below `lanes`
  /// @param start  random: where the first one is, so that those of an earlier process are not given out again at once
  LaneVnis(std::uint32_t lane, std::uint32_t lanes, std::uint32_t start) noexcept
      : lane_(lane), lanes_(lanes), last_(start) {}

  /// In place of what there was; they do not overlap. 0 and what is above 0xffffff are left out. @throws std::bad_alloc
  void use(std::vector<NumberRange> ranges);

  /// The first one behind the last that is not in use, and behind the highest the lowest: so that one which has become
  /// free is given out again as late as can be. None: all are in use, or there are none at all. As
  /// VniSet::first_free(), for each range.
  [[nodiscard]] std::optional<std::uint32_t> next(const VniSet& in_use) noexcept;

 private:
  [[nodiscard]] std::uint64_t at_or_above(std::uint64_t number) const noexcept;

  std::uint32_t lane_, lanes_;
  std::uint64_t last_;
  std::vector<NumberRange> ranges_;  // ascending
};

}  // namespace gatehouse::geneve_relay
