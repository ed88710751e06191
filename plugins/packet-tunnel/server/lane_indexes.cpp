#include "plugins/packet-tunnel/server/lane_indexes.hpp"

#include <algorithm>

namespace gatehouse::packet_tunnel {

void LaneIndexes::use(std::vector<NumberRange> ranges) {
  ranges_ = std::move(ranges);
  std::ranges::sort(ranges_, {}, &NumberRange::first);
}

/// The first one of this lane from `number` on, of whatever range.
std::uint64_t LaneIndexes::at_or_above(std::uint64_t number) const noexcept {
  return number + (lane_ + lanes_ - number % lanes_) % lanes_;
}

std::optional<std::uint32_t> LaneIndexes::any() noexcept {
  std::uint64_t all = 0;
  for (const NumberRange& range : ranges_) all += range.last - range.first + 1;
  if (all == 0) return {};
  random_ ^= random_ << 13;
  random_ ^= random_ >> 7;
  random_ ^= random_ << 17;
  std::uint64_t chosen = random_ % all;
  for (const NumberRange& range : ranges_) {
    const std::uint64_t size = range.last - range.first + 1;
    if (chosen >= size) {
      chosen -= size;
      continue;
    }
    const std::uint64_t mine = at_or_above(range.first + chosen);
    if (mine <= range.last) return static_cast<std::uint32_t>(mine);
    if (mine >= lanes_ + range.first) return static_cast<std::uint32_t>(mine - lanes_);
    return {};
  }
  return {};
}

std::optional<std::uint32_t> LaneIndexes::after(std::uint32_t index) const noexcept {
  std::optional<std::uint32_t> first;
  for (const NumberRange& range : ranges_) {
    const std::uint64_t mine = at_or_above(std::max<std::uint64_t>(range.first, std::uint64_t{index} + 1));
    if (mine <= range.last) return static_cast<std::uint32_t>(mine);
    if (const std::uint64_t lowest = at_or_above(range.first); !first && lowest <= range.last)
      first = static_cast<std::uint32_t>(lowest);
  }
  return first;
}

}  // namespace gatehouse::packet_tunnel
