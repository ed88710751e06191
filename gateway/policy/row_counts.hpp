// How often each row of policy.db has decided or watched, counted by a lane without locks or allocation. One writer;
// any number of readers.
#pragma once

#include "policy/verdict.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace gatehouse {

enum class RowEffect : std::uint8_t { monitor, deny, allow };
/// "monitor", "deny", "allow".
[[nodiscard]] std::string_view to_text(RowEffect effect) noexcept;

/// An open-addressing table of fixed size. A row that finds no place is counted in overflow(); rows are never removed,
/// since ids are rarely reused and a lane's table dies with the lane.
class RowCounts {
 public:
  static constexpr std::size_t kSlots = 4096;

  /// The writer only. About one cache line.
  void add(policy::RowRef row, RowEffect effect) noexcept;
  /// The writer only. Counts hits of rows that are not known by name.
  void add_unnamed(std::uint64_t hits) noexcept;

  /// Hits whose row found no place, and unnamed ones.
  [[nodiscard]] std::uint64_t overflow() const noexcept { return overflow_.load(std::memory_order_relaxed); }
  /// Calls `visit(RowRef, RowEffect, count)` for each row that was ever hit. Any thread.
  template <class Visit>
  void for_each(Visit visit) const {
    for (const Slot& slot : slots_) {
      const std::uint32_t tag = slot.tag.load(std::memory_order_acquire);
      if (tag == 0) continue;
      visit(policy::RowRef{static_cast<policy::Table>((tag - 1) / kEffects), slot.row},
            static_cast<RowEffect>((tag - 1) % kEffects), slot.count.load(std::memory_order_relaxed));
    }
  }

 private:
  static constexpr std::size_t kProbes = 32;
  static constexpr std::uint32_t kEffects = 4;
  struct Slot {
    std::atomic<std::uint32_t> tag{0};  // 0 = free, else 1 + kEffects * table + effect
    std::int64_t row = 0;               // written before `tag` is, and never again
    std::atomic<std::uint64_t> count{0};
  };
  std::array<Slot, kSlots> slots_;
  std::atomic<std::uint64_t> overflow_{0};
};

}  // namespace gatehouse
