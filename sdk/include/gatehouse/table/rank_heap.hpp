// Who has most of something: a heap whose members know their places, so that a changed count costs a few swaps. One
// per lane: no call is thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace gatehouse {

/// Put one into the value for each heap that it can be in at a time.
/// @tparam Number  has both the counts and the number of members
template <class Number>
struct BasicRank {
  static constexpr Number kNowhere = std::numeric_limits<Number>::max();  ///< the place of who is in no heap
  Number count = 0;                                                       ///< what the heap goes by; set by it
  Number place = kNowhere;                                                ///< in the heap, which alone sets it
};
using Rank = BasicRank<std::uint64_t>;       ///< 16 bytes
using SmallRank = BasicRank<std::uint32_t>;  ///< 8 bytes, for values that there are very many of

/// Members are borrowed, and stay where they are until they leave. All calls are O(log n) at most: O(1) for who stays
/// the largest or the smallest. Allocates when there are more members than ever.
/// @tparam kRank  the member of T that is its rank: &T::rank_
template <class T, auto kRank>
class RankHeap {
  template <class Number>
  static Number number_of(BasicRank<Number> T::*);
  using Number = decltype(number_of(kRank));
  using Rank = BasicRank<Number>;

 public:
  /// The member with the highest count, any of several; null when there is none.
  [[nodiscard]] T* top() const noexcept { return heap_.empty() ? nullptr : heap_.front(); }
  [[nodiscard]] std::size_t size() const noexcept { return heap_.size(); }

  /// So many members find place without an allocation. @throws std::bad_alloc
  void reserve(std::size_t members) {
    if (members > heap_.capacity()) heap_.reserve(2 * members);
  }
  /// Gives `member` that count; takes it in if it was not in here. @throws std::bad_alloc only then
  void set(T& member, Number count) {
    Rank& rank = member.*kRank;
    if (rank.place == Rank::kNowhere) {
      heap_.push_back(&member);
      rank.place = static_cast<Number>(heap_.size() - 1);
    }
    rank.count = count;
    settle(rank.place);
  }
  /// Nothing happens if it is not in here.
  void remove(T& member) noexcept {
    Rank& rank = member.*kRank;
    if (rank.place == Rank::kNowhere) return;
    const std::size_t hole = rank.place;
    rank = {};
    T* const last = heap_.back();
    heap_.pop_back();
    if (last == &member) return;
    put(hole, last);
    settle(hole);
  }

 private:
  [[nodiscard]] Number count_at(std::size_t place) const noexcept { return (heap_[place]->*kRank).count; }
  void put(std::size_t place, T* member) noexcept {
    heap_[place] = member;
    (member->*kRank).place = static_cast<Number>(place);
  }
  void swap(std::size_t a, std::size_t b) noexcept {
    T* const other = heap_[a];
    put(a, heap_[b]);
    put(b, other);
  }
  void settle(std::size_t place) noexcept {
    for (std::size_t above; place != 0 && count_at(above = (place - 1) / 2) < count_at(place); place = above)
      swap(place, above);
    for (;;) {
      std::size_t largest = 2 * place + 1;
      if (largest >= heap_.size()) return;
      if (largest + 1 < heap_.size() && count_at(largest) < count_at(largest + 1)) ++largest;
      if (count_at(largest) <= count_at(place)) return;
      swap(place, largest);
      place = largest;
    }
  }

  std::vector<T*> heap_;
};

}  // namespace gatehouse
