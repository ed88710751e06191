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

std::optional<std::uint32_t> LaneVnis::next(const VniSet& in_use) noexcept {
  for (const std::uint64_t from : {last_ + 1, std::uint64_t{0}}) {
    for (const NumberRange& range : ranges_) {
      const auto free = in_use.first_free(at_or_above(std::max(range.first, from)), range.last, lanes_);
      if (free) return static_cast<std::uint32_t>(last_ = *free);
    }
  }
  return {};
}

}  // namespace gatehouse::geneve_relay
