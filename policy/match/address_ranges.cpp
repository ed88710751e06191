#include "policy/match/address_ranges.hpp"

#include <algorithm>

namespace gatehouse::policy {
namespace {

constexpr std::size_t kBlocks = 65536;  // of the first 16 bits
constexpr std::size_t kLarge = 1024;    // ranges of a family

template <class Start>
void sort_unique(std::vector<Start>& starts) {
  std::sort(starts.begin(), starts.end());
  starts.erase(std::unique(starts.begin(), starts.end()), starts.end());
  starts.shrink_to_fit();
}

/// index[i]: the range that block i begins in; one more at the end, for the last block's upper bound.
/// @param first_behind  the first block that begins at an address or after it
template <class Start, class FirstBehind>
std::vector<std::uint32_t> make_index(const std::vector<Start>& starts, FirstBehind first_behind) {
  const auto last = static_cast<std::uint32_t>(starts.size() - 1);
  std::vector<std::uint32_t> index(kBlocks + 1, last);
  for (std::uint32_t range = 0; range < last; ++range)
    std::fill(index.begin() + first_behind(starts[range]), index.begin() + first_behind(starts[range + 1]), range);
  return index;
}

/// The last of starts[from..to] that is not above `address`; starts[from] is not.
template <class Start>
std::uint32_t last_not_above(const std::vector<Start>& starts, std::uint32_t from, std::uint32_t to,
                             const Start& address) noexcept {
  while (from < to) {
    const std::uint32_t middle = from + (to - from + 1) / 2;
    if (starts[middle] <= address)
      from = middle;
    else
      to = middle - 1;
  }
  return from;
}

}  // namespace

AddressRanges::AddressRanges(std::span<const PrefixBits> borders, Search search) : v4_{0}, v6_{Wide{}} {
  for (const PrefixBits& prefix : borders) {
    if (prefix.base.family == Family::v4) {
      const std::uint64_t first = static_cast<std::uint32_t>(prefix.base.low & prefix.low_mask);
      const std::uint64_t after = first + (~prefix.low_mask & 0xffff'ffff) + 1;
      v4_.push_back(static_cast<std::uint32_t>(first));
      if (after <= 0xffff'ffff) v4_.push_back(static_cast<std::uint32_t>(after));
    } else {
      const Wide first{prefix.base.high & prefix.high_mask, prefix.base.low & prefix.low_mask};
      Wide after{first.high | ~prefix.high_mask, first.low | ~prefix.low_mask};
      v6_.push_back(first);
      if (++after.low == 0 && ++after.high == 0) continue;
      v6_.push_back(after);
    }
  }
  sort_unique(v4_);
  sort_unique(v6_);
  if (search == Search::indexed || v4_.size() > kLarge)
    v4_index_ = make_index(v4_, [](std::uint32_t start) { return (start >> 16) + ((start & 0xffff) != 0 ? 1 : 0); });
  if (search == Search::indexed || v6_.size() > kLarge) {
    v6_index_ = make_index(v6_, [](const Wide& start) {
      const bool inside = (start.high << 16 | start.low) != 0;
      return static_cast<std::ptrdiff_t>(start.high >> 48) + (inside ? 1 : 0);
    });
  }
}

std::size_t AddressRanges::bytes() const noexcept {
  const auto of = [](const auto& vector) { return vector.capacity() * sizeof(vector[0]); };
  return of(v4_) + of(v6_) + of(v4_index_) + of(v6_index_);
}

std::uint32_t AddressRanges::find_v4(std::uint32_t address) const noexcept {
  if (v4_index_.empty()) return last_not_above(v4_, 0, static_cast<std::uint32_t>(v4_.size() - 1), address);
  const std::uint32_t block = address >> 16;
  return last_not_above(v4_, v4_index_[block], v4_index_[block + 1], address);
}

std::uint32_t AddressRanges::find_v6(const AddressBits& address) const noexcept {
  const auto v4 = static_cast<std::uint32_t>(v4_.size());
  const Wide wide{address.high, address.low};
  if (v6_index_.empty()) return v4 + last_not_above(v6_, 0, static_cast<std::uint32_t>(v6_.size() - 1), wide);
  const std::uint64_t block = address.high >> 48;
  return v4 + last_not_above(v6_, v6_index_[block], v6_index_[block + 1], wide);
}

AddressBits AddressRanges::lowest(std::uint32_t range) const noexcept {
  if (range < v4_.size()) return {0, AddressBits::kMapped | v4_[range], Family::v4};
  const Wide& start = v6_[range - v4_.size()];
  return {start.high, start.low, Family::v6};
}

std::pair<std::uint32_t, std::uint32_t> AddressRanges::inside(const PrefixBits& prefix) const noexcept {
  const AddressBits last{prefix.base.high | ~prefix.high_mask, prefix.base.low | ~prefix.low_mask, prefix.base.family};
  return {find({prefix.base.high & prefix.high_mask, prefix.base.low & prefix.low_mask, prefix.base.family}),
          find(last) + 1};
}

}  // namespace gatehouse::policy
