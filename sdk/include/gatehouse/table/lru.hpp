// Recency order over the slots of a slab: who has been quiet for longest. The links live in the values themselves, so
// that nothing is allocated. One per lane: no call is thread-safe.
#pragma once

#include <gatehouse/table/slab.hpp>

namespace gatehouse {

/// Put one into the value for each list that it can be in at a time.
struct LruLink {
  std::uint32_t newer = kNoSlot;  ///< the slot that was touched next after this one; kNoSlot of the newest
  std::uint32_t older = kNoSlot;  ///< the one before; kNoSlot of the oldest
};

/// The head of one list: 12 bytes, so that each client may have its own over the lane's slab. Every call takes
/// `links`, a callable that finds the link of a slot: `[&](std::uint32_t slot) -> LruLink& { return slab[slot].lru; }`.
/// All calls are O(1).
class Lru {
 public:
  /// Makes `slot` the newest; adds it if it is in no list.
  template <class Links>
  void touch(std::uint32_t slot, Links&& links) noexcept {
    if (slot == newest_) return;
    LruLink& link = links(slot);
    if (link.newer != kNoSlot) {  // in the list, and not at its head
      unlink(link, links);
    } else {
      ++size_;
    }
    link = {kNoSlot, newest_};
    (newest_ != kNoSlot ? links(newest_).newer : oldest_) = slot;
    newest_ = slot;
  }

  /// Takes `slot` out; nothing happens if it is in no list. To be called before its value is erased.
  template <class Links>
  void remove(std::uint32_t slot, Links&& links) noexcept {
    LruLink& link = links(slot);
    if (link.newer == kNoSlot && slot != newest_) return;
    unlink(link, links);
    link = {};
    --size_;
  }

  /// kNoSlot when empty.
  [[nodiscard]] std::uint32_t newest() const noexcept { return newest_; }
  [[nodiscard]] std::uint32_t oldest() const noexcept { return oldest_; }
  [[nodiscard]] std::uint32_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

 private:
  template <class Links>
  void unlink(const LruLink& link, Links&& links) noexcept {
    (link.newer != kNoSlot ? links(link.newer).older : newest_) = link.older;
    (link.older != kNoSlot ? links(link.older).newer : oldest_) = link.newer;
  }

  std::uint32_t newest_ = kNoSlot;
  std::uint32_t oldest_ = kNoSlot;
  std::uint32_t size_ = 0;
};

}  // namespace gatehouse
