// Which VNIs are in use, for all lanes to see.
#pragma once

#include "plugins/geneve-relay/wire/geneve_header.hpp"

#include <atomic>
#include <cstdint>
#include <optional>
#include <vector>

namespace gatehouse::geneve_relay {

/// A bit for each number, 2 MiB. Thread-safe: relaxed, so that another thread sees a change a moment later; each number
/// is changed by the lane that owns it alone.
class VniSet {
 public:
  VniSet() : words_(kWords) {}

  void add(std::uint32_t vni) noexcept { word_of(vni).fetch_or(bit_of(vni), std::memory_order_relaxed); }
  void remove(std::uint32_t vni) noexcept { word_of(vni).fetch_and(~bit_of(vni), std::memory_order_relaxed); }
  [[nodiscard]] bool has(std::uint32_t vni) const noexcept {
    return (words_[vni / kBits].load(std::memory_order_relaxed) & bit_of(vni)) != 0;
  }

  /// The first of `from`, `from` + `step`, ... up to `last` that is not in here; none: they all are. Skips 64 at a time
  /// where all of these are: some ms at the very worst, microseconds as a rule.
  [[nodiscard]] std::optional<std::uint32_t> first_free(std::uint64_t from, std::uint64_t last,
                                                        std::uint32_t step) const noexcept {
    while (from <= last) {
      const std::uint64_t word = words_[from / kBits].load(std::memory_order_relaxed);
      if (word == UINT64_MAX) {
        const std::uint64_t to_next_word = kBits - from % kBits;
        from += (to_next_word + step - 1) / step * step;
      } else if ((word >> from % kBits & 1U) == 0) {
        return static_cast<std::uint32_t>(from);
      } else {
        from += step;
      }
    }
    return {};
  }

 private:
  static constexpr std::uint32_t kBits = 64, kWords = (kLargestVni + 1) / kBits;

  static constexpr std::uint64_t bit_of(std::uint32_t vni) noexcept { return std::uint64_t{1} << vni % kBits; }
  [[nodiscard]] std::atomic<std::uint64_t>& word_of(std::uint32_t vni) noexcept { return words_[vni / kBits]; }

  std::vector<std::atomic<std::uint64_t>> words_;
};

}  // namespace gatehouse::geneve_relay
