#include "gateway/policy/row_counts.hpp"

namespace gatehouse {
namespace {

/// There is one writer, so no read-modify-write is needed.
void increase(std::atomic<std::uint64_t>& count, std::uint64_t by = 1) noexcept {
  count.store(count.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
}

}  // namespace

std::string_view to_text(RowEffect effect) noexcept {
  switch (effect) {
    case RowEffect::monitor: return "monitor";
    case RowEffect::deny: return "deny";
    case RowEffect::allow: return "allow";
  }
  return "";
}

void RowCounts::add(policy::RowRef row, RowEffect effect) noexcept {
  const std::uint32_t tag = 1 + kEffects * static_cast<std::uint32_t>(row.table) + static_cast<std::uint32_t>(effect);
  std::uint64_t at = (static_cast<std::uint64_t>(row.row) * 32 + tag) * 0x9e37'79b9'7f4a'7c15;
  at >>= 52;  // the upper bits of the product are the mixed ones
  static_assert(kSlots == std::size_t{1} << 12);
  for (std::size_t probe = 0; probe < kProbes; ++probe, ++at) {
    Slot& slot = slots_[at % kSlots];
    const std::uint32_t has = slot.tag.load(std::memory_order_relaxed);
    if (has == tag && slot.row == row.row) return increase(slot.count);
    if (has != 0) continue;
    slot.row = row.row;
    slot.count.store(1, std::memory_order_relaxed);
    return slot.tag.store(tag, std::memory_order_release);
  }
  increase(overflow_);
}

void RowCounts::add_unnamed(std::uint64_t hits) noexcept { increase(overflow_, hits); }

}  // namespace gatehouse
