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
  bool exact = false;  ///< an open entry is that name alone
  std::int64_t row = 0;
  std::shared_ptr<const Mismatches> mismatches = nullptr;  ///< null = none known

  /// The entry that lists a name.
  struct Hit {
    std::size_t suffix = 0;  ///< which suffix of the name it is
    bool exact = false;      ///< it is for that name alone
  };

  /// For `name`, which is valid and not empty; none also where an exception takes the name out.
  [[nodiscard]] std::optional<Hit> find(const NameSuffixes& name) const noexcept {
    const std::size_t whole = name.count() - 1;
    const std::size_t shortest = names->reaches_below(exact) ? names->fewest_labels() - 1 : whole;
    ListMark best = ListMark::none;
    Hit hit;
    for (std::size_t i = name.count(); i-- > shortest;) {
      const ListEntry found = entry(name, i);
      if (found == ListEntry::none) continue;
      const ListMark mark = i == whole ? about_itself(found) : about_below(found);
      if (mark <= best) continue;
      // What lists the name already, and longer, still does: it ranks by that among rows and other lists.
      if (!is_listed(best)) hit = {i, about_below(found) == ListMark::none};
      best = mark;
      if (names->nearest_wins()) break;
    }
    return is_listed(best) ? std::optional(hit) : std::nullopt;
  }

 private:
  /// What an entry says of its own name, and of the names below it.
  [[nodiscard]] static ListMark about_itself(ListEntry entry) noexcept {
    return entry.at == ListMark::open ? ListMark::listed : entry.at;
  }
  [[nodiscard]] ListMark about_below(ListEntry entry) const noexcept {
    if (entry.below != ListMark::open) return entry.below;
    return exact ? ListMark::none : ListMark::listed;
  }
  /// What the list has for exactly suffix `i`.
  [[nodiscard]] ListEntry entry(const NameSuffixes& name, std::size_t i) const noexcept {
    const ListEntry found = names->find(name.hash(i));
    if (found == ListEntry::none || !mismatches) return found;
    const auto known = mismatches->find(name.text(i));
    return known == mismatches->end() ? found : known->second;
  }
};

}  // namespace gatehouse::policy
