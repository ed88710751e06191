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

/// An open-addressing table of fixed size. A row that finds no place is counted in overflow(). The place of a row that
/// has left the policy goes to another.
class RowCounts {
 public:
  static constexpr std::size_t kSlots = 4096;

  /// The writer only. About one cache line.
  void add(policy::RowRef row, RowEffect effect) noexcept;
  /// The writer only. Counts hits of rows that are not known by name.
  void add_unnamed(std::uint64_t hits) noexcept;

  /// Hits whose row found no place, and unnamed ones.
  [[nodiscard]] std::uint64_t overflow() const noexcept { return overflow_.load(std::memory_order_relaxed); }
  /// Calls `visit(RowRef, RowEffect, count)` for each row that was hit and not dropped. Any thread.
  template <class Visit>
  void for_each(Visit visit) const {
    for (const Slot& slot : slots_) {
      const std::uint32_t tag = slot.tag.load(std::memory_order_acquire);
      const std::int64_t row = slot.row.load(std::memory_order_acquire);
      const std::uint64_t count = slot.count.load(std::memory_order_acquire);
      if (!is_used(tag) || slot.tag.load(std::memory_order_relaxed) != tag) continue;  // given away meanwhile
      visit(row_of(tag, row), static_cast<RowEffect>(((tag & kCode) - 1) % kEffects), count);
    }
  }
  /// Gives the places of rows away that `stays(RowRef)` is false for. Any one thread, beside the writer.
  template <class Stays>
  void drop(Stays stays) noexcept {
    for (Slot& slot : slots_) {
      std::uint32_t tag = slot.tag.load(std::memory_order_acquire);
      if (is_used(tag) && !stays(row_of(tag, slot.row.load(std::memory_order_relaxed))))
        slot.tag.compare_exchange_strong(tag, tag | kCode, std::memory_order_acq_rel);
    }
  }

 private:
  static constexpr std::size_t kProbes = 32;
  static constexpr std::uint32_t kEffects = 4;
  static constexpr std::uint32_t kCode = 0xff;  // as a code: the row was dropped, the place can be taken
  static constexpr unsigned kCodeBits = 8;
  struct Slot {
    std::atomic<std::uint32_t> tag{0};  // 0 = free; how often it was taken, and 1 + kEffects * table + effect
    std::atomic<std::int64_t> row{0};   // written before `tag` is, and again only after it was dropped
    std::atomic<std::uint64_t> count{0};
  };
  [[nodiscard]] static bool is_used(std::uint32_t tag) noexcept { return tag != 0 && (tag & kCode) != kCode; }
  [[nodiscard]] static policy::RowRef row_of(std::uint32_t tag, std::int64_t row) noexcept {
    return {static_cast<policy::Table>(((tag & kCode) - 1) / kEffects), row};
  }
  static void take(Slot& slot, std::int64_t row, std::uint32_t code) noexcept;
  std::array<Slot, kSlots> slots_;
  std::atomic<std::uint64_t> overflow_{0};
};

}  // namespace gatehouse
