#include "policy/distinct_window.hpp"

#include <algorithm>
#include <bit>
#include <memory>
#include <new>

namespace gatehouse::policy {
namespace {

// An entry is a window's number, 24 bits, and a fingerprint, 40 bits. Window numbers start at 1, so 0 is an old entry.
constexpr unsigned kPrintBits = 40;
constexpr std::uint64_t kPrintMask = (std::uint64_t{1} << kPrintBits) - 1;
constexpr std::uint64_t kWindowMask = 0xff'ffff;

constexpr std::uint64_t window_of(std::uint64_t entry) noexcept { return entry >> kPrintBits; }

/// Right for 15 years after the clock's start; so is all that compares windows.
constexpr bool is_before(std::uint64_t window, std::uint64_t other) noexcept {
  const std::uint64_t ahead = (other - window) & kWindowMask;
  return ahead != 0 && ahead <= kWindowMask / 2;
}

constexpr std::uint64_t entry_of(std::uint64_t thing, std::uint64_t window) noexcept {
  return window << kPrintBits | (thing >> (64 - kPrintBits));
}

}  // namespace

/// Open addressing; at least twice as many slots as things of one window, so a search ends soon.
struct DistinctWindow::Table {
  using Slot = std::atomic<std::uint64_t>;
  std::uint64_t size = 0;  // a power of two
  std::unique_ptr<Slot[]> slots;
  std::unique_ptr<Table> former;  // others may still read it

  [[nodiscard]] bool has(std::uint64_t entry) const noexcept {
    for (std::uint64_t i = 0; i < size; ++i) {
      const std::uint64_t seen = slots[(entry + i) & (size - 1)].load(std::memory_order_relaxed);
      if (seen == entry) return true;
      if (is_before(window_of(seen), window_of(entry))) return false;
    }
    return false;
  }
  /// False: it was there.
  bool add(std::uint64_t entry) noexcept {
    for (std::uint64_t i = 0; i < size; ++i) {
      Slot& slot = slots[(entry + i) & (size - 1)];
      std::uint64_t seen = slot.load(std::memory_order_relaxed);
      while (is_before(window_of(seen), window_of(entry)))
        if (slot.compare_exchange_weak(seen, entry, std::memory_order_relaxed)) return true;
      if (seen == entry) return false;
    }
    return true;
  }
};

DistinctWindow::~DistinctWindow() { delete table_.load(std::memory_order_relaxed); }

void DistinctWindow::reserve(std::uint64_t limit) noexcept {
  if (limit == 0) return;
  const std::uint64_t size = std::bit_ceil(2 * std::min(limit, kMostThings));
  Table* present = table_.load(std::memory_order_acquire);
  while (present == nullptr || present->size < size) {
    std::unique_ptr<Table> next(new (std::nothrow) Table);
    if (!next) return;
    next->slots.reset(new (std::nothrow) Table::Slot[size]());
    if (!next->slots) return;
    next->size = size;
    // What others add to the old table from here on may be counted again: once, at an edit of the limit.
    const std::uint64_t window = window_of(counted_.load(std::memory_order_relaxed));
    for (std::uint64_t i = 0; present != nullptr && i < present->size; ++i)
      if (const std::uint64_t entry = present->slots[i].load(std::memory_order_relaxed); window_of(entry) == window)
        next->add(entry);
    next->former.reset(present);
    if (table_.compare_exchange_strong(present, next.get(), std::memory_order_acq_rel)) {
      static_cast<void>(next.release());
      return;
    }
    static_cast<void>(next->former.release());
  }
}

/// Lanes' clocks differ by a turn: the window of the foremost counts.
std::uint64_t DistinctWindow::window_at(std::uint64_t now) const noexcept {
  const std::uint64_t mine = (now / kWindow + 1) & kWindowMask;
  const std::uint64_t newest = window_of(counted_.load(std::memory_order_relaxed));
  return is_before(mine, newest) ? newest : mine;
}

bool DistinctWindow::has(std::uint64_t entry) const noexcept {
  const Table* const table = table_.load(std::memory_order_acquire);
  return table != nullptr && table->has(entry);
}

bool DistinctWindow::has_place(std::uint64_t thing, std::uint64_t limit, std::uint64_t now) const noexcept {
  const std::uint64_t window = window_at(now);
  const std::uint64_t counted = counted_.load(std::memory_order_relaxed);
  return window_of(counted) != window || (counted & kPrintMask) < limit || has(entry_of(thing, window));
}

bool DistinctWindow::count(std::uint64_t thing, std::uint64_t limit, std::uint64_t now) noexcept {
  const std::uint64_t window = window_at(now);
  const std::uint64_t entry = entry_of(thing, window);
  if (has(entry)) return true;
  if (!count_one(window, limit)) return false;
  if (Table* const table = table_.load(std::memory_order_acquire); table != nullptr && !table->add(entry))
    uncount_one(window);  // another lane was first
  return true;
}

std::uint64_t DistinctWindow::counted(std::uint64_t now) const noexcept {
  const std::uint64_t window = window_at(now);
  const std::uint64_t counted = counted_.load(std::memory_order_relaxed);
  return window_of(counted) == window ? counted & kPrintMask : 0;
}

bool DistinctWindow::count_one(std::uint64_t window, std::uint64_t limit) noexcept {
  std::uint64_t counted = counted_.load(std::memory_order_relaxed);
  for (;;) {
    const bool begins = is_before(window_of(counted), window);
    if (!begins && (counted & kPrintMask) >= limit) return false;
    const std::uint64_t next = begins ? window << kPrintBits | 1 : counted + 1;
    if (counted_.compare_exchange_weak(counted, next, std::memory_order_relaxed)) return true;
  }
}

void DistinctWindow::uncount_one(std::uint64_t window) noexcept {
  std::uint64_t counted = counted_.load(std::memory_order_relaxed);
  while (window_of(counted) == window &&
         !counted_.compare_exchange_weak(counted, counted - 1, std::memory_order_relaxed)) {
  }
}

}  // namespace gatehouse::policy
