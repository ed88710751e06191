#include "policy/lists/name_set.hpp"

#include <algorithm>

namespace gatehouse::policy {

std::shared_ptr<const NameSet> NameSet::build(std::vector<std::uint64_t> listed,
                                              std::vector<std::uint64_t> exceptions) {
  auto out = std::shared_ptr<NameSet>(new NameSet);
  out->listed_ = std::move(listed);
  out->exceptions_ = std::move(exceptions);
  std::sort(out->listed_.begin(), out->listed_.end());
  std::sort(out->exceptions_.begin(), out->exceptions_.end());
  return out;
}

ListEntry NameSet::find(std::uint64_t hash) const noexcept {
  if (std::binary_search(exceptions_.begin(), exceptions_.end(), hash)) return ListEntry::exception;
  return std::binary_search(listed_.begin(), listed_.end(), hash) ? ListEntry::listed : ListEntry::none;
}

}  // namespace gatehouse::policy
