// One row of domain_lists, compiled: the names, and what they are for. A value that shares its names; thread-safe.
#pragma once

#include "policy/lists/name_set.hpp"
#include "policy/match/domain_table.hpp"

#include <map>
#include <memory>
#include <optional>
#include <string>

namespace gatehouse::policy {

/// What a list file has for the names about which its NameSet is wrong, because their hashes collide with others'.
using Mismatches = std::map<std::string, ListEntry, std::less<>>;

struct ListRule {
  std::shared_ptr<const NameSet> names;  ///< never null
  DomainAction action = DomainAction::block;
  bool exact = false;  ///< an entry is that name alone
  std::int64_t row = 0;
  std::shared_ptr<const Mismatches> mismatches = nullptr;  ///< null = none known

  /// The longest suffix of `name`, which is valid and not empty, that is an entry; none also where an exception takes
  /// the name out.
  [[nodiscard]] std::optional<std::size_t> find(const NameSuffixes& name) const noexcept {
    const std::size_t whole = name.count() - 1;
    if (exact && !names->has_exceptions())
      return entry(name, whole) == ListEntry::listed ? std::optional(whole) : std::nullopt;
    std::optional<std::size_t> out;
    const std::size_t shortest = names->fewest_labels() - 1;
    for (std::size_t i = name.count(); i-- > shortest;) {
      const ListEntry found = entry(name, i);
      if (found == ListEntry::exception) return {};
      if (found == ListEntry::listed && !out && (!exact || i == whole)) {
        if (!names->has_exceptions()) return i;
        out = i;
      }
    }
    return out;
  }

 private:
  /// What the list has for exactly suffix `i`.
  [[nodiscard]] ListEntry entry(const NameSuffixes& name, std::size_t i) const noexcept {
    const ListEntry found = names->find(name.hash(i));
    if (found == ListEntry::none || !mismatches) return found;
    const auto known = mismatches->find(name.text(i));
    return known == mismatches->end() ? found : known->second;
  }
};

}  // namespace gatehouse::policy
