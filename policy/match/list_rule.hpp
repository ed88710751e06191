// One row of domain_lists, compiled: the names, and what they are for. A value that shares its names; thread-safe.
#pragma once

#include "policy/lists/name_set.hpp"
#include "policy/match/domain_table.hpp"

#include <memory>
#include <optional>

namespace gatehouse::policy {

struct ListRule {
  std::shared_ptr<const NameSet> names;  ///< never null
  DomainAction action = DomainAction::block;
  bool exact = false;  ///< an entry is that name alone
  std::int64_t row = 0;

  /// The longest suffix of `name` that is an entry; none also where an exception takes the name out.
  [[nodiscard]] std::optional<std::size_t> find(const NameSuffixes& name) const noexcept {
    std::optional<std::size_t> out;
    for (std::size_t i = name.count(); i-- > 0;) {
      const ListEntry entry = names->find(name.hash(i));
      if (entry == ListEntry::exception) return {};
      if (entry == ListEntry::listed && !out && (!exact || i + 1 == name.count())) out = i;
    }
    return out;
  }
};

}  // namespace gatehouse::policy
