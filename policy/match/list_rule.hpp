// One row of domain_lists, compiled: the names, and what they are for. A value that shares its names; thread-safe.
#pragma once

#include "policy/lists/name_set.hpp"
#include "policy/match/domain_table.hpp"

#include <memory>
#include <optional>
#include <set>
#include <string>

namespace gatehouse::policy {

/// Names that a NameSet reports and its list file does not have: fingerprints that collided.
using MismatchSet = std::set<std::string, std::less<>>;

struct ListRule {
  std::shared_ptr<const NameSet> names;  ///< never null
  DomainAction action = DomainAction::block;
  bool exact = false;  ///< an entry is that name alone
  std::int64_t row = 0;
  std::shared_ptr<const MismatchSet> mismatches = nullptr;  ///< null = none known

  /// entry_of(), but for the names that the set is known to be wrong about.
  [[nodiscard]] std::optional<std::size_t> find(const NameSuffixes& name) const noexcept {
    const auto entry = entry_of(name);
    if (entry && mismatches && mismatches->contains(name.text(name.count() - 1))) return {};
    return entry;
  }

 private:
  /// The longest suffix of `name`, which is valid and not empty, that is an entry; none also where an exception takes
  /// the name out.
  [[nodiscard]] std::optional<std::size_t> entry_of(const NameSuffixes& name) const noexcept {
    if (exact && !names->has_exceptions()) {
      const std::size_t whole = name.count() - 1;
      return names->find(name.hash(whole)) == ListEntry::listed ? std::optional(whole) : std::nullopt;
    }
    std::optional<std::size_t> out;
    for (std::size_t i = name.count(); i-- > 0;) {
      const ListEntry entry = names->find(name.hash(i));
      if (entry == ListEntry::exception) return {};
      if (entry == ListEntry::listed && !out && (!exact || i + 1 == name.count())) {
        if (!names->has_exceptions()) return i;
        out = i;
      }
    }
    return out;
  }
};

}  // namespace gatehouse::policy
