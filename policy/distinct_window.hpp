// How many different things were seen in this minute: the destinations that a client opens flows to. A bounded set of
// fingerprints that is never cleared: an entry of an earlier minute counts as free.
// Thread-safe and lock-free, reserve() too; only reserve() allocates.
#pragma once

#include <atomic>
#include <cstdint>

namespace gatehouse::policy {

class DistinctWindow {
 public:
  static constexpr std::uint64_t kWindow = 60'000'000'000;  ///< ns
  static constexpr std::uint64_t kMostThings = 65536;       ///< the largest limit; costs 1 MiB

  DistinctWindow() = default;
  ~DistinctWindow();
  DistinctWindow(const DistinctWindow&) = delete;
  DistinctWindow& operator=(const DistinctWindow&) = delete;

  /// Makes place for that many things a window, 16 to 32 bytes each, and keeps what is remembered. Where memory is
  /// short, nothing more is remembered: then a thing may be counted each time that it comes.
  void reserve(std::uint64_t limit) noexcept;

  /// Would admit() return true?
  /// @param thing  a hash of it, with a secret seed: 40 bits of it are kept, so two of 65,536 things are taken for one
  ///               another once in 500 windows, to the client's favour
  /// @param limit  0 = none
  /// @param now    ns of a steady clock that starts with the machine
  [[nodiscard]] bool would_admit(std::uint64_t thing, std::uint64_t limit, std::uint64_t now) const noexcept {
    return limit == 0 || has_place(thing, limit, now);
  }
  /// Counts `thing` unless it was seen in this window. False: it is one more than `limit`, and was not counted.
  [[nodiscard]] bool admit(std::uint64_t thing, std::uint64_t limit, std::uint64_t now) noexcept {
    return limit == 0 || count(thing, limit, now);
  }
  /// How many were counted in this window.
  [[nodiscard]] std::uint64_t counted(std::uint64_t now) const noexcept;

 private:
  struct Table;
  [[nodiscard]] bool has_place(std::uint64_t thing, std::uint64_t limit, std::uint64_t now) const noexcept;
  [[nodiscard]] bool count(std::uint64_t thing, std::uint64_t limit, std::uint64_t now) noexcept;
  [[nodiscard]] std::uint64_t window_at(std::uint64_t now) const noexcept;
  [[nodiscard]] bool has(std::uint64_t entry) const noexcept;
  [[nodiscard]] bool count_one(std::uint64_t window, std::uint64_t limit) noexcept;
  void uncount_one(std::uint64_t window) noexcept;

  std::atomic<std::uint64_t> counted_{0};  // window and number of things
  std::atomic<Table*> table_{nullptr};     // the largest one; it owns those that it replaced
};

}  // namespace gatehouse::policy
