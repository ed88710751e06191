// Which indexes a lane may give to new sessions: of the ranges that this gateway may hand out, those that are congruent
// to its number.
#pragma once

#include <gatehouse/plugin/ranges.hpp>

#include <cstdint>
#include <optional>
#include <vector>

namespace gatehouse::packet_tunnel {

/// One lane's; not thread-safe. Whether somebody has an index, others know.
class LaneIndexes {
 public:
  /// @param lane  below `lanes`
  /// @param seed  random
  LaneIndexes(std::uint32_t lane, std::uint32_t lanes, std::uint64_t seed) noexcept
      : lane_(lane), lanes_(lanes), random_(seed | 1U) {}

  /// In place of what there was; they do not overlap. @throws std::bad_alloc
  void use(std::vector<NumberRange> ranges);

  /// One at random. None: this time a range was hit that has none of them. O(ranges)
  [[nodiscard]] std::optional<std::uint32_t> any() noexcept;
  /// The one behind `index`, and behind the last one the first: so that all are found. None: there are none at all.
  /// O(ranges)
  [[nodiscard]] std::optional<std::uint32_t> after(std::uint32_t index) const noexcept;

 private:
  [[nodiscard]] std::uint64_t at_or_above(std::uint64_t number) const noexcept;

  std::uint32_t lane_, lanes_;
  std::uint64_t random_;
  std::vector<NumberRange> ranges_;  // ascending
};

}  // namespace gatehouse::packet_tunnel
