// The memory that a lane's clients may have waiting, all together: whoever has most gives back first.
#pragma once

#include <gatehouse/table/rank_heap.hpp>

#include <cstddef>

namespace gatehouse {

/// Whoever holds memory of a budget: a client with what waits for it. Leaves its budget before it goes.
class MemoryHolder {
 public:
  [[nodiscard]] std::size_t held() const noexcept { return rank_.count; }

 protected:
  ~MemoryHolder() = default;

 private:
  friend class MemoryBudget;
  /// There is too little, and nobody has more: gives a good part of it back and tells by hold(); one that keeps
  /// everything is asked no more for now. Called from within anybody's hold(), its own too.
  virtual void give_back() = 0;
  Rank rank_;
};

/// Nobody is refused: what is held over the budget is taken from the largest holders at once, so that a client which
/// holds less than its even share loses nothing, however many others hold how much (buffer sharing with push-out, as
/// Wei, Coyle and Hsiao described it for switches in 1991). One lane's; not thread-safe.
class MemoryBudget {
 public:
  /// @param bytes  of all holders together
  explicit MemoryBudget(std::size_t bytes) noexcept : bytes_(bytes) {}
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;

  /// Another size from now on; what is over it goes at the next hold().
  void resize(std::size_t bytes) noexcept { bytes_ = bytes; }
  [[nodiscard]] std::size_t size() const noexcept { return bytes_; }
  [[nodiscard]] std::size_t held() const noexcept { return held_; }
  [[nodiscard]] std::size_t free() const noexcept { return bytes_ > held_ ? bytes_ - held_ : 0; }
  /// So many holders find place without an allocation: to be called where one comes. @throws std::bad_alloc
  void reserve(std::size_t holders) { holders_.reserve(holders); }

  /// `holder` has `bytes` now; 0: it leaves. May call give_back() of any holder, so that whoever calls this with more
  /// than before asks afterwards what is left. O(log n), beside what giving back costs. Allocates only for
  /// more holders than were reserved for; @throws std::bad_alloc then, and the holder counts as without.
  void hold(MemoryHolder& holder, std::size_t bytes) {
    const std::size_t before = holder.held();
    if (bytes == before) return;
    if (bytes == 0) {
      holders_.remove(holder);
    } else {
      holders_.set(holder, bytes);
    }
    held_ += bytes - before;
    if (bytes > before && held_ > bytes_ && !reclaiming_) reclaim();
  }

 private:
  void reclaim() {
    const struct Mark {
      explicit Mark(bool& of) noexcept : is_on(of) { is_on = true; }
      ~Mark() { is_on = false; }
      bool& is_on;
    } mark(reclaiming_);
    while (held_ > bytes_) {
      MemoryHolder* const largest = holders_.top();
      if (largest == nullptr) break;
      const std::size_t before = held_;
      largest->give_back();
      if (held_ >= before) break;
    }
  }

  std::size_t bytes_;
  std::size_t held_ = 0;
  bool reclaiming_ = false;
  RankHeap<MemoryHolder, &MemoryHolder::rank_> holders_;
};

}  // namespace gatehouse
