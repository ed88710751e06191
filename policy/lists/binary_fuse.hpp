// Says of nearly every name that it is not listed, for 1.2 bytes a listed name: almost every query is a miss, so this
// filter decides what a query costs. Built once, then immutable and thread-safe.
#pragma once

#include "policy/match/multiply.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace gatehouse::policy {

/// A binary fuse filter with fingerprints of 8 bits (Graf and Lemire, "Binary Fuse Filters: Fast and Smaller Than Xor
/// Filters", 2022), cut into shards by the hash's high bits, so that it is built in a little memory and the three bytes
/// that a query reads lie in a few pages.
class BinaryFuse {
 public:
  /// Contains nothing.
  BinaryFuse() = default;

  /// @param hashes  sorted, without repetition
  /// @throws std::runtime_error when no salt fits, which never happens to hashes that are anything like random
  explicit BinaryFuse(std::span<const std::uint64_t> hashes);

  /// True for each hash it was built from, and for one in 256 of the others.
  [[nodiscard]] bool may_contain(std::uint64_t hash) const noexcept {
    if (cells_.empty()) return false;
    const std::size_t shard = place_in(hash, salts_.size());
    const std::uint64_t mixed = mix(hash, salts_[shard]);
    const std::uint8_t* const cells = cells_.data() + shard * shape_.cells();
    const auto [a, b, c] = shape_.places(mixed);
    return (fingerprint(mixed) ^ cells[a] ^ cells[b] ^ cells[c]) == 0;
  }

  /// Memory held.
  [[nodiscard]] std::size_t bytes() const noexcept { return cells_.capacity() + salts_.capacity(); }

 private:
  /// How the cells of one shard are used: a hash has a cell in each of three neighbouring segments.
  struct Shape {
    std::uint32_t segment = 0;  ///< cells in a segment, a power of two
    std::uint32_t starts = 0;   ///< segments that may be the first of three

    [[nodiscard]] std::size_t cells() const noexcept { return std::size_t{starts + 2} * segment; }
    [[nodiscard]] std::array<std::uint32_t, 3> places(std::uint64_t mixed) const noexcept {
      const auto first = static_cast<std::uint32_t>(place_in(mixed, std::uint64_t{starts} * segment));
      const auto low = static_cast<std::uint32_t>(mixed);
      const auto high = static_cast<std::uint32_t>(mixed >> 18);
      return {first, (first + segment) ^ (high & (segment - 1)), (first + 2 * segment) ^ (low & (segment - 1))};
    }
  };
  struct Workspace;

  [[nodiscard]] static Shape shape_for(std::size_t hashes);
  [[nodiscard]] static std::uint64_t mix(std::uint64_t hash, std::uint8_t salt) noexcept {
    return fold(hash ^ (salt * 0x9e37'79b9'7f4a'7c15), 0xd6e8'feb8'6659'fd93);
  }
  [[nodiscard]] static std::uint8_t fingerprint(std::uint64_t mixed) noexcept {
    return static_cast<std::uint8_t>(mixed ^ (mixed >> 32));
  }
  [[nodiscard]] bool fill(std::size_t shard, std::span<const std::uint64_t> hashes, Workspace& work);

  Shape shape_;                      // of every shard
  std::vector<std::uint8_t> salts_;  // of each shard
  std::vector<std::uint8_t> cells_;
};

}  // namespace gatehouse::policy
