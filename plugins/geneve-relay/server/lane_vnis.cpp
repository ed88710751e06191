#include "plugins/geneve-relay/server/lane_vnis.hpp"

#include "plugins/geneve-relay/wire/geneve_header.hpp"

#include <algorithm>

namespace gatehouse::geneve_relay {

void LaneVnis::use(std::vector<NumberRange> ranges) {
  for (NumberRange& range : ranges) {
    range.first = std::max<std::uint64_t>(range.first, 1);
    range.last = std::min<std::uint64_t>(range.last, kLargestVni);
  }
  std::erase_if(ranges, [](const NumberRange& range) { return range.first > range.last; });
  std::ranges::sort(ranges, {}, &NumberRange::first);
  ranges_ = std::move(ranges);
}

/// The first one of this lane from `number` on, of whatever range.
std::uint64_t LaneVnis::at_or_above(std::uint64_t number) const noexcept {
  return number + (lane_ + lanes_ - number % lanes_) % lanes_;
}

std::optional<std::uint32_t> LaneVnis::next() noexcept {
  std::optional<std::uint64_t> lowest;
  for (const NumberRange& range : ranges_) {
    const std::uint64_t mine = at_or_above(std::max(range.first, last_ + 1));
    if (mine <= range.last) return static_cast<std::uint32_t>(last_ = mine);
    if (const std::uint64_t first = at_or_above(range.first); !lowest && first <= range.last) lowest = first;
  }
  if (!lowest) return {};
  return static_cast<std::uint32_t>(last_ = *lowest);
}

}  // namespace gatehouse::geneve_relay
