#include "policy/match/admission_table.hpp"

#include "policy/match/glob.hpp"

#include <algorithm>

namespace gatehouse::policy {

const AdmissionTable::Row* AdmissionTable::find(GroupIndex group, std::string_view plugin,
                                                std::string_view listener) const noexcept {
  const auto matches = [&](const Row& row) {
    return (!row.group || *row.group == group) && glob_match(row.plugin, plugin) && glob_match(row.listener, listener);
  };
  const auto found = std::find_if(rows_.begin(), rows_.end(), matches);
  return found == rows_.end() ? nullptr : &*found;
}

}  // namespace gatehouse::policy
