// A list that has one entry mostly.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace gatehouse {

/// Pointers to what others own, each once, in a pointer's room: only a second one is an allocation. All calls are
/// O(entries).
template <class T>
class PointerList {
 public:
  PointerList() noexcept = default;
  PointerList(const PointerList&) = delete;
  PointerList& operator=(const PointerList&) = delete;
  ~PointerList() { clear(); }

  [[nodiscard]] bool empty() const noexcept { return size() == 0; }
  [[nodiscard]] std::size_t size() const noexcept { return is_many() ? many()->size() : word_ != 0; }
  [[nodiscard]] bool contains(const T& one) const noexcept {
    bool out = false;
    for_each([&](const T& other) { out = out || &other == &one; });
    return out;
  }
  /// The next add() does not fail. @throws std::bad_alloc
  void reserve_one_more() {
    if (word_ == 0) return;
    if (!is_many()) {
      auto many = std::make_unique<Many>();
      many->reserve(kFirst);
      many->push_back(first());
      word_ = reinterpret_cast<std::uintptr_t>(many.release()) | kMany;
    }
    if (many()->size() == many()->capacity()) many()->reserve(2 * many()->size());
  }
  /// After reserve_one_more(). Nothing happens where it is there.
  void add(T& one) noexcept {
    if (contains(one)) return;
    if (is_many()) {
      many()->push_back(&one);
    } else {
      word_ = reinterpret_cast<std::uintptr_t>(&one);
    }
  }
  /// Removes those of which is(T&) is true.
  template <class Is>
  void erase_if(Is is) noexcept {
    if (is_many()) {
      std::erase_if(*many(), [&](T* one) { return is(*one); });
    } else if (word_ != 0 && is(*first())) {
      word_ = 0;
    }
  }
  void clear() noexcept {
    if (is_many()) std::unique_ptr<Many>(many()).reset();
    word_ = 0;
  }
  template <class Visit>
  void for_each(Visit visit) const {
    if (is_many()) {
      for (T* const one : *many()) visit(*one);
    } else if (word_ != 0) {
      visit(*first());
    }
  }

 private:
  using Many = std::vector<T*>;
  static constexpr std::size_t kFirst = 4;
  static constexpr std::uintptr_t kMany = 1;
  [[nodiscard]] bool is_many() const noexcept { return (word_ & kMany) != 0; }
  [[nodiscard]] Many* many() const noexcept { return reinterpret_cast<Many*>(word_ & ~kMany); }
  [[nodiscard]] T* first() const noexcept { return reinterpret_cast<T*>(word_); }

  std::uintptr_t word_ = 0;  // 0: none; the address of one; or that of many, with kMany
};

}  // namespace gatehouse
