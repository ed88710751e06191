// Which records have changed since they were last written: a list that lanes add to without a lock and that cannot
// grow beyond the records there are, since each is in it once.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace gatehouse {

/// A record's place in the list. The record has its first small members in the same eight bytes.
struct ChangeLink {
  enum class Kind : std::uint8_t { session, lease, value };
  explicit ChangeLink(Kind of) noexcept : kind(of) {}
  ChangeLink(const ChangeLink&) = delete;
  ChangeLink& operator=(const ChangeLink&) = delete;

  [[nodiscard]] bool is_listed() const noexcept { return listed.load(std::memory_order_acquire); }

  ChangeLink* next = nullptr;  // the list's, while listed
  const Kind kind;
  std::atomic<bool> listed{false};
};

/// Any thread adds, one takes.
///
/// Memory order: whoever changes a record does so under its lock and then adds it; the taker marks it as not listed
/// and then copies it under that lock. Both exchange `listed` with acquire-release, so a change either is in the copy
/// or adds the record anew.
class ChangeList {
 public:
  /// Lock-free. @return the list was empty: its taker may be asleep
  bool add(ChangeLink& link) noexcept {
    if (link.listed.exchange(true, std::memory_order_acq_rel)) return false;
    size_.fetch_add(1, std::memory_order_relaxed);
    ChangeLink* head = newest_.load(std::memory_order_relaxed);
    do {
      link.next = head;
    } while (!newest_.compare_exchange_weak(head, &link, std::memory_order_release, std::memory_order_relaxed));
    return head == nullptr;
  }

  /// How many wait to be taken, more or less. Lock-free.
  [[nodiscard]] std::size_t size() const noexcept { return size_.load(std::memory_order_relaxed); }

  /// Empties the list and calls visit(ChangeLink&) for each, in the order in which they came. The record may be
  /// destroyed in the call, and may be listed again from then on.
  template <class Visit>
  void take(Visit&& visit) {
    ChangeLink* newest = newest_.exchange(nullptr, std::memory_order_acquire);
    ChangeLink* oldest = nullptr;
    std::size_t taken = 0;
    for (; newest != nullptr; ++taken) {
      ChangeLink* const next = newest->next;
      newest->next = oldest;
      oldest = newest;
      newest = next;
    }
    size_.fetch_sub(taken, std::memory_order_relaxed);
    while (oldest != nullptr) {
      ChangeLink& link = *oldest;
      oldest = link.next;
      link.listed.exchange(false, std::memory_order_acq_rel);
      visit(link);
    }
  }

 private:
  std::atomic<ChangeLink*> newest_{nullptr};
  std::atomic<std::size_t> size_{0};
};

}  // namespace gatehouse
