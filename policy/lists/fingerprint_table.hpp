// Which hashes stand in a list, 48 bits of each: the second look, after the filter, that nearly only listed names
// reach; and two bits of the builder's for each. Built once, then immutable and thread-safe.
#pragma once

#include "policy/lists/huge_pages.hpp"
#include "policy/match/multiply.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace gatehouse::policy {

/// A hash table whose bucket is a cache line of ten fingerprints, about three quarters full. A hash's high bits give
/// its bucket and its low bits the fingerprint, so from 2^19 hashes on all 64 bits are told apart. What does not fit
/// goes to the next bucket; a query goes on as long as buckets are full.
class FingerprintTable {
 public:
  /// Contains nothing.
  FingerprintTable() = default;

  /// Room for so many hashes.
  explicit FingerprintTable(std::size_t hashes);

  static constexpr unsigned kCodes = 4;  ///< 0 to 3
  static constexpr unsigned kAbsent = kCodes;

  /// While it is built, at most as many as there is room for, each hash once.
  /// @param hashes  sorted
  void add(std::span<const std::uint64_t> hashes, unsigned code);

  /// The code of a hash that was added; for about n in 2^64, but at least one in 2^45, of the others that of another
  /// one; else kAbsent. Cost: a cache miss.
  [[nodiscard]] unsigned find(std::uint64_t hash) const noexcept;

  /// Memory held.
  [[nodiscard]] std::size_t bytes() const noexcept { return buckets_.capacity() * sizeof(Bucket); }

 private:
  static constexpr std::size_t kSlots = 10;
  static constexpr unsigned kCodeBits = 8;  // where codes begin in a bucket's state
  struct alignas(64) Bucket {
    std::array<std::uint32_t, kSlots> low{};
    std::array<std::uint16_t, kSlots> high{};
    std::uint32_t state = 0;  // how many slots are used, and from kCodeBits on two bits a slot
    [[nodiscard]] std::size_t used() const noexcept { return state & ((1U << kCodeBits) - 1); }
  };
  static_assert(sizeof(Bucket) == 64);

  HugePageVector<Bucket> buckets_;
};

}  // namespace gatehouse::policy
