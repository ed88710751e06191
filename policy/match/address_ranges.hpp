// All addresses of both families, cut into disjoint ranges at the borders of some prefixes: one search gives all that
// any of the prefixes has for an address. Built once, then immutable and thread-safe.
#pragma once

#include "policy/match/address_bits.hpp"

#include <compare>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace gatehouse::policy {

/// Ranges are numbered from 0: IPv4 ascending, then IPv6 ascending. Sorted starts with an index over the first 16 bits,
/// so that most searches touch one or two cache lines.
class AddressRanges {
 public:
  AddressRanges() = default;  ///< no ranges: find() must not be called
  /// `as_large`: the index, of 512 KiB, only where there are so many ranges that it is worth its memory.
  enum class Search { indexed, as_large };
  explicit AddressRanges(std::span<const PrefixBits> borders, Search search = Search::indexed);

  /// The number of the range that `address` (of either family) lies in.
  [[nodiscard]] std::uint32_t find(const AddressBits& address) const noexcept {
    return address.family == Family::v4 ? find_v4(static_cast<std::uint32_t>(address.low)) : find_v6(address);
  }
  [[nodiscard]] std::size_t size() const noexcept { return v4_.size() + v6_.size(); }
  /// What it holds, in bytes.
  [[nodiscard]] std::size_t bytes() const noexcept;
  /// The lowest address of a range.
  [[nodiscard]] AddressBits lowest(std::uint32_t range) const noexcept;
  /// The ranges [first, second) that make up `prefix`, which must be one of the borders.
  [[nodiscard]] std::pair<std::uint32_t, std::uint32_t> inside(const PrefixBits& prefix) const noexcept;

 private:
  struct Wide {
    std::uint64_t high = 0, low = 0;
    auto operator<=>(const Wide&) const = default;
  };
  [[nodiscard]] std::uint32_t find_v4(std::uint32_t address) const noexcept;
  [[nodiscard]] std::uint32_t find_v6(const AddressBits& address) const noexcept;

  std::vector<std::uint32_t> v4_;  // the first address of each range
  std::vector<Wide> v6_;
  std::vector<std::uint32_t> v4_index_,
      v6_index_;  // [i]: the range that i << 16 (of 32), i << 112 (of 128) lies in; or empty
};

}  // namespace gatehouse::policy
