// The names of a list on their way to a NameSet, as hashes sorted by what the list says of them. One thread.
#pragma once

#include "policy/lists/list_entry.hpp"
#include "policy/match/name_suffixes.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace gatehouse::policy {

class HashedNames {
 public:
  /// What nearly all names of a list have: eight bytes each here, and two bits in the result.
  enum Plain : unsigned { exact, children, suffix, open, plain_kinds };
  /// A name with any other entry, such as an exception.
  struct Special {
    std::uint64_t hash = 0;
    ListEntry entry;
  };

  /// Address space for about so many names; memory is taken as they come.
  void reserve(std::size_t names);
  /// In any order; what a name has been given before is kept, as in `|=`.
  /// @param name  canonical
  void add(std::string_view name, ListEntry entry, const HashSeed& seed);
  void add(std::uint64_t hash, ListEntry entry);

  /// Sorts, so that each hash stands in one place, once.
  void settle();

  [[nodiscard]] const std::vector<std::uint64_t>& plain(Plain kind) const noexcept { return plain_[kind]; }
  [[nodiscard]] const std::vector<Special>& special() const noexcept { return special_; }
  [[nodiscard]] std::size_t size() const noexcept;
  /// Of any name.
  [[nodiscard]] std::size_t fewest_labels() const noexcept { return fewest_labels_ == 0 ? 1 : fewest_labels_; }

  /// Of the entries for a name and those above it the longest decides; false: an exception beats all that is listed,
  /// and what is important beats both. The same where a list has nothing but listed names.
  bool nearest_wins = false;

 private:
  void gather_repeated();

  std::array<std::vector<std::uint64_t>, plain_kinds> plain_;
  std::vector<Special> special_;
  std::size_t fewest_labels_ = 0;
};

}  // namespace gatehouse::policy
