// How often each row of policy.db has watched or denied, counted by a lane without locks or allocation. One writer;
// any number of readers.
#pragma once

#include "policy/verdict.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace gatehouse {

enum class RowEffect : std::uint8_t { monitor, deny };

/// An open-addressing table of fixed size. A row that finds no place is counted in overflow(); rows are never removed,
/// since ids are rarely reused and a lane's table dies with the lane.
class RowCounts {
 public:
  static constexpr std::size_t kSlots = 4096;

  /// The writer only. About one cache line.
  void add(policy::RowRef row, RowEffect effect) noexcept;

  /// Hits whose row found no place.
  [[nodiscard]] std::uint64_t overflow() const noexcept { return overflow_.load(std::memory_order_relaxed); }
  /// Calls `visit(RowRef, RowEffect, count)` for each row that was ever hit. Any thread.
  template <class Visit>
  void for_each(Visit visit) const {
    for (const Slot& slot : slots_) {
      const std::uint32_t tag = slot.tag.load(std::memory_order_acquire);
      if (tag == 0) continue;
      visit(policy::RowRef{static_cast<policy::Table>((tag - 1) >> 1), slot.row}, static_cast<RowEffect>((tag - 1) & 1),
            slot.count.load(std::memory_order_relaxed));
    }
  }

 private:
  static constexpr std::size_t kProbes = 32;
  struct Slot {
    std::atomic<std::uint32_t> tag{0};  // 0 = free, else 1 + 2 * table + effect
    std::int64_t row = 0;               // written before `tag` is, and never again
    std::atomic<std::uint64_t> count{0};
  };
  std::array<Slot, kSlots> slots_;
  std::atomic<std::uint64_t> overflow_{0};
};

}  // namespace gatehouse
