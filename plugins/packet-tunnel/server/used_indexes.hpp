// Which clients the kernel's connection tracking may know something of: so that it is asked to forget an address only
// where somebody else has had it. That request walks the kernel's whole table: 20 ms where it is empty, 90 ms with
// 100,000 entries, which new sessions need not pay.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

namespace gatehouse::packet_tunnel {

/// A bit for each index that clients may have: 2 MiB for a /8. Thread-safe: lanes share it, and each index is one
/// lane's.
class UsedIndexes {
 public:
  /// @param first, last  both included
  UsedIndexes(std::uint32_t first, std::uint32_t last) : first_(first), words_((last - first) / 64 + 1) {}

  /// `index` is somebody's from now on, or was.
  void add(std::uint32_t index) noexcept {
    const std::uint32_t at = index - first_;
    if (at / 64 < words_.size()) std::atomic_ref(words_[at / 64]).fetch_or(bit(at), std::memory_order_relaxed);
  }
  [[nodiscard]] bool contains(std::uint32_t index) const noexcept {
    const std::uint32_t at = index - first_;
    if (at / 64 >= words_.size()) return false;
    return (std::atomic_ref(const_cast<std::uint64_t&>(words_[at / 64])).load(std::memory_order_relaxed) & bit(at)) !=
           0;
  }

 private:
  static std::uint64_t bit(std::uint32_t at) noexcept { return std::uint64_t{1} << at % 64; }

  std::uint32_t first_;
  std::vector<std::uint64_t> words_;
};

}  // namespace gatehouse::packet_tunnel
