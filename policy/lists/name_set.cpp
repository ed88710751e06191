#include "policy/lists/name_set.hpp"

#include <algorithm>

namespace gatehouse::policy {
namespace {

void sort_without_repetition(std::vector<std::uint64_t>& hashes) {
  std::sort(hashes.begin(), hashes.end());
  hashes.erase(std::unique(hashes.begin(), hashes.end()), hashes.end());
}

}  // namespace

std::shared_ptr<const NameSet> NameSet::build(std::vector<std::uint64_t> listed,
                                              std::vector<std::uint64_t> exceptions) {
  sort_without_repetition(exceptions);
  exceptions.shrink_to_fit();
  if (!exceptions.empty()) {
    listed.reserve(listed.size() + exceptions.size());
    listed.insert(listed.end(), exceptions.begin(), exceptions.end());
  }
  sort_without_repetition(listed);
  auto out = std::shared_ptr<NameSet>(new NameSet);
  out->size_ = listed.size();
  out->exceptions_ = std::move(exceptions);
  out->filter_ = BlockedBloom(listed);
  out->table_ = FingerprintTable(listed);
  return out;
}

ListEntry NameSet::look_up(std::uint64_t hash) const noexcept {
  if (std::binary_search(exceptions_.begin(), exceptions_.end(), hash)) return ListEntry::exception;
  return table_.contains(hash) ? ListEntry::listed : ListEntry::none;
}

}  // namespace gatehouse::policy
