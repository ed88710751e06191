// One domain list, compiled: which names stand in it. Built once per list file and shared by snapshots; immutable and
// thread-safe.
#pragma once

#include "policy/lists/blocked_bloom.hpp"
#include "policy/lists/fingerprint_table.hpp"
#include "policy/lists/hashed_names.hpp"
#include "policy/lists/list_entry.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace gatehouse::policy {

class NameSet {
 public:
  /// Cost: 8 bytes a name for the hashes and the result's own bytes at the peak; a second or two for ten million.
  [[nodiscard]] static std::shared_ptr<const NameSet> build(HashedNames names);

  /// What the list has under that hash. A name that stands in no list is taken for a listed one with a chance of
  /// size() / 2^64 (one in 10^12 for ten million names), or 2^-53 if that is more.
  [[nodiscard]] ListEntry find(std::uint64_t hash) const noexcept {
    return filter_.may_contain(hash) ? look_up(hash) : ListEntry::none;
  }

  /// Shorter suffixes need not be asked for: nearly every list has names of two labels and more only.
  [[nodiscard]] std::size_t fewest_labels() const noexcept { return fewest_labels_; }
  /// Does the longest suffix with an entry decide? Else all of them have to be seen.
  [[nodiscard]] bool nearest_wins() const noexcept { return nearest_wins_; }
  /// Does any entry speak of names below its own, with open ones only for the name itself (`exact`) or not?
  [[nodiscard]] bool reaches_below(bool exact) const noexcept { return reaches_below_ || (has_open_ && !exact); }
  /// Names, exceptions included.
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  /// Memory held.
  [[nodiscard]] std::size_t bytes() const noexcept {
    return sizeof *this + filter_.bytes() + table_.bytes() + special_hashes_.capacity() * sizeof(std::uint64_t) +
           special_entries_.capacity() * sizeof(ListEntry);
  }

 private:
  NameSet() = default;
  [[nodiscard]] ListEntry look_up(std::uint64_t hash) const noexcept;
  void add(const HashedNames& names, HashedNames::Plain kind, unsigned code);
  void add_special(const HashedNames& names, bool with_exact);

  BlockedBloom filter_;
  FingerprintTable table_;  // the code says what the list has
  std::array<ListEntry, 3> entry_of_code_{ListEntry::exact, ListEntry::children, ListEntry::suffix};
  std::vector<std::uint64_t> special_hashes_;  // sorted: names with any other entry
  std::vector<ListEntry> special_entries_;     // theirs
  std::size_t fewest_labels_ = 1;
  std::size_t size_ = 0;
  bool nearest_wins_ = true, reaches_below_ = false, has_open_ = false;
};

}  // namespace gatehouse::policy
