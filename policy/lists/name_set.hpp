// One domain list, compiled: which names stand in it. Built once per list file and shared by snapshots; immutable and
// thread-safe.
#pragma once

#include "policy/lists/blocked_bloom.hpp"
#include "policy/lists/fingerprint_table.hpp"
#include "policy/match/name_suffixes.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace gatehouse::policy {

/// What a list has for exactly one name.
enum class ListEntry : std::uint8_t {
  none,
  listed,
  exception,  ///< the list leaves this name, and what is below it, alone
};

/// The names of a list on their way to a NameSet, in any order, with or without repetition. One thread.
struct HashedNames {
  std::vector<std::uint64_t> listed;
  std::vector<std::uint64_t> exceptions;  ///< few; one that is listed too is an exception
  std::size_t fewest_labels = 1;          ///< that any of them has

  /// @param name  canonical
  void add(std::string_view name, bool is_exception, const HashSeed& seed);
};

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
  [[nodiscard]] bool has_exceptions() const noexcept { return !exceptions_.empty(); }
  /// Names, exceptions included.
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  /// Memory held.
  [[nodiscard]] std::size_t bytes() const noexcept {
    return sizeof *this + filter_.bytes() + table_.bytes() + exceptions_.capacity() * sizeof(std::uint64_t);
  }

 private:
  NameSet() = default;
  [[nodiscard]] ListEntry look_up(std::uint64_t hash) const noexcept;

  BlockedBloom filter_;                    // of listed names and exceptions
  FingerprintTable table_;                 // the same
  std::vector<std::uint64_t> exceptions_;  // sorted
  std::size_t fewest_labels_ = 1;
  std::size_t size_ = 0;
};

}  // namespace gatehouse::policy
