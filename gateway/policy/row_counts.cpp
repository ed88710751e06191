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

/// A reader that sees the new row also sees that the tag is not what it was.
void RowCounts::take(Slot& slot, std::int64_t row, std::uint32_t code) noexcept {
  const std::uint32_t times = slot.tag.load(std::memory_order_acquire) >> kCodeBits;
  slot.row.store(row, std::memory_order_release);
  slot.count.store(1, std::memory_order_release);
  slot.tag.store((times + 1) << kCodeBits | code, std::memory_order_release);
}

void RowCounts::add(policy::RowRef row, RowEffect effect) noexcept {
  const std::uint32_t code = 1 + kEffects * static_cast<std::uint32_t>(row.table) + static_cast<std::uint32_t>(effect);
  std::uint64_t at = (static_cast<std::uint64_t>(row.row) * 32 + code) * 0x9e37'79b9'7f4a'7c15;
  at >>= 52;  // the upper bits of the product are the mixed ones
  static_assert(kSlots == std::size_t{1} << 12);
  Slot* place = nullptr;
  for (std::size_t probe = 0; probe < kProbes; ++probe, ++at) {
    Slot& slot = slots_[at % kSlots];
    const std::uint32_t has = slot.tag.load(std::memory_order_relaxed);
    if ((has & kCode) == code && slot.row.load(std::memory_order_relaxed) == row.row) return increase(slot.count);
    if (!is_used(has) && place == nullptr) place = &slot;
    if (has == 0) break;  // no row was ever placed behind it
  }
  if (place == nullptr) return increase(overflow_);
  take(*place, row.row, code);
}

void RowCounts::add_unnamed(std::uint64_t hits) noexcept { increase(overflow_, hits); }

}  // namespace gatehouse
