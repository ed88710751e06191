// Finds that nearly every name is not listed, for 1.25 bytes a listed name: almost every query is a miss, so this
// filter decides what a query costs. Built once, then immutable and thread-safe.
#pragma once

#include "policy/lists/huge_pages.hpp"
#include "policy/match/multiply.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace gatehouse::policy {

/// A blocked Bloom filter (Putze, Sanders and Singler, "Cache-, Hash- and Space-Efficient Bloom Filters", 2007): all
/// bits of a hash lie in one block, half a cache line, so that a query waits for the memory once. A hash's high bits
/// give its block and its low bits the bits, one in each of the block's words.
class BlockedBloom {
 public:
  /// Contains nothing.
  BlockedBloom() : BlockedBloom(std::size_t{0}) {}
  /// Room for so many hashes.
  explicit BlockedBloom(std::size_t hashes);
  explicit BlockedBloom(std::span<const std::uint64_t> hashes) : BlockedBloom(hashes.size()) { add(hashes); }

  /// While it is built. In any order, but sorted ones are faster.
  void add(std::span<const std::uint64_t> hashes) noexcept;

  /// True for each hash that was added, and for one in 73 of the others.
  [[nodiscard]] bool may_contain(std::uint64_t hash) const noexcept {
    const auto& words = blocks_[place_in(hash, count_)].words;
    return (words[0] >> bit(hash, 0) & words[1] >> bit(hash, 1) & words[2] >> bit(hash, 2) & words[3] >> bit(hash, 3) &
            1) != 0;
  }

  /// Memory held.
  [[nodiscard]] std::size_t bytes() const noexcept { return blocks_.capacity() * sizeof(Block); }

 private:
  struct alignas(32) Block {
    std::array<std::uint64_t, 4> words{};
  };
  [[nodiscard]] static constexpr unsigned bit(std::uint64_t hash, unsigned word) noexcept {
    return static_cast<unsigned>(hash >> (6 * word)) & 63;
  }
  std::size_t count_;  // of blocks_, at least one
  HugePageVector<Block> blocks_;
};

}  // namespace gatehouse::policy
