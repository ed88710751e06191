// A pool of slots that never move, named by handles that tell when they are stale. For what descriptors in an epoll
// set, timers and recency lists point to. One per lane: no call is thread-safe.
#pragma once

#include <cassert>
#include <compare>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace gatehouse {

/// No slot's number.
inline constexpr std::uint32_t kNoSlot = UINT32_MAX;

/// Names one use of one slot. Fits into epoll_data.u64; values below 2^32 are never handles of anything, so that a
/// lane can give those to its other descriptors.
struct SlotHandle {
  std::uint64_t value = 0;  ///< generation << 32 | slot; 0 = none

  [[nodiscard]] constexpr std::uint32_t slot() const noexcept { return static_cast<std::uint32_t>(value); }
  [[nodiscard]] constexpr std::uint32_t generation() const noexcept { return static_cast<std::uint32_t>(value >> 32); }
  [[nodiscard]] explicit constexpr operator bool() const noexcept { return value != 0; }
  auto operator<=>(const SlotHandle&) const = default;
};

/// Slots of T in chunks of `ChunkSlots`. Costs 8 bytes a slot beside T, and a pointer a chunk.
///
/// Generations are counted over the whole slab, not per slot: a stale handle is told from a live one also after the
/// memory was given back, until 2^32 values were made while somebody kept it.
template <class T, std::uint32_t ChunkSlots = 64>
class Slab {
 public:
  Slab() = default;
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;
  ~Slab() { clear(); }

  /// Makes T(args...) in a free slot, the one that was freed last. Allocates once in ChunkSlots times at most.
  /// @throws std::bad_alloc, or what T's constructor throws; then nothing has changed
  template <class... Args>
  SlotHandle emplace(Args&&... args) {
    const std::uint32_t index = free_ != kNoSlot ? free_ : fresh_slot();
    Slot& slot = slot_at(index);
    std::construct_at(&slot.value, std::forward<Args>(args)...);
    if (index == used_) {
      ++used_;
    } else {
      free_ = slot.link;
    }
    if (++last_generation_ == 0) ++last_generation_;
    slot.generation = last_generation_;
    slot.link = kNoSlot;
    ++size_;
    return handle_at(index);
  }

  /// Destroys the value; false (and nothing happens) for a stale handle. With the last value all chunks but the first
  /// are freed.
  bool erase(SlotHandle handle) noexcept {
    if (at(handle) == nullptr) return false;
    Slot& slot = slot_at(handle.slot());
    slot.generation = 0;
    std::destroy_at(&slot.value);  // may erase other values
    slot.link = free_;
    free_ = handle.slot();
    if (--size_ == 0) shrink();
    return true;
  }

  /// The value, or nullptr for a stale handle. Two dependent loads.
  [[nodiscard]] T* at(SlotHandle handle) noexcept {
    if (handle.slot() >= used_) return nullptr;
    Slot& slot = slot_at(handle.slot());
    return slot.generation == handle.generation() && slot.generation != 0 ? &slot.value : nullptr;
  }

  /// The value in a slot that is known to be in use.
  [[nodiscard]] T& operator[](std::uint32_t index) noexcept {
    assert(index < used_ && slot_at(index).generation != 0);
    return slot_at(index).value;
  }
  [[nodiscard]] const T& operator[](std::uint32_t index) const noexcept {
    assert(index < used_ && slot_at(index).generation != 0);
    return slot_at(index).value;
  }

  /// The handle of a slot that is in use.
  [[nodiscard]] SlotHandle handle_at(std::uint32_t index) const noexcept {
    assert(index < used_ && slot_at(index).generation != 0);
    return {std::uint64_t{slot_at(index).generation} << 32 | index};
  }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  /// Bytes allocated.
  [[nodiscard]] std::size_t memory() const noexcept {
    return chunks_.size() * sizeof(Chunk) + chunks_.capacity() * sizeof(chunks_[0]);
  }

  /// Calls visit(SlotHandle, T&) for values from slot `cursor` on, after looking at no more than `budget` slots, and
  /// moves the cursor. Returns true, with the cursor back at 0, when the end was reached.
  ///
  /// `visit` may erase any value and make new ones. What lives from the first slice to the last is visited once; what
  /// is made in between may be missed.
  template <class Visit>
  bool sweep(std::uint32_t& cursor, std::size_t budget, Visit&& visit) {
    for (; cursor < used_; ++cursor) {
      if (budget-- == 0) return false;
      Slot& slot = slot_at(cursor);
      if (slot.generation != 0) visit(handle_at(cursor), slot.value);
    }
    cursor = 0;
    return true;
  }

  /// Destroys every value.
  void clear() noexcept {
    for (std::uint32_t i = 0; i < used_ && size_ != 0; ++i)
      if (slot_at(i).generation != 0) erase(handle_at(i));
  }

 private:
  struct Slot {
    Slot() noexcept {}
    ~Slot() {}
    std::uint32_t generation = 0;  // 0 = free
    std::uint32_t link = kNoSlot;  // the next free slot
    union {
      T value;
    };
  };
  struct Chunk {
    Slot slots[ChunkSlots];
  };
  static_assert((ChunkSlots & (ChunkSlots - 1)) == 0, "a power of two, so that a slot is found by shifts");

  Slot& slot_at(std::uint32_t index) const noexcept { return chunks_[index / ChunkSlots]->slots[index % ChunkSlots]; }

  std::uint32_t fresh_slot() {
    if (used_ == chunks_.size() * ChunkSlots) chunks_.push_back(std::make_unique_for_overwrite<Chunk>());
    return used_;
  }

  void shrink() noexcept {
    chunks_.resize(1);
    free_ = kNoSlot;
    used_ = 0;
  }

  std::vector<std::unique_ptr<Chunk>> chunks_;
  std::size_t size_ = 0;
  std::uint32_t used_ = 0;  // slots from here on were never used since the slab was empty
  std::uint32_t free_ = kNoSlot;
  std::uint32_t last_generation_ = 0;
};

}  // namespace gatehouse
