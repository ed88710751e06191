#include "policy/lists/name_set.hpp"

#include <algorithm>

namespace gatehouse::policy {
namespace {

void sort_without_repetition(std::vector<std::uint64_t>& hashes) {
  std::sort(hashes.begin(), hashes.end());
  hashes.erase(std::unique(hashes.begin(), hashes.end()), hashes.end());
}

}  // namespace

void HashedNames::add(std::string_view name, bool is_exception, const HashSeed& seed) {
  const auto labels = static_cast<std::size_t>(std::count(name.begin(), name.end(), '.')) + 1;
  const bool is_first = listed.empty() && exceptions.empty();
  fewest_labels = is_first ? labels : std::min(fewest_labels, labels);
  (is_exception ? exceptions : listed).push_back(hash_name(name, seed));
}

std::shared_ptr<const NameSet> NameSet::build(HashedNames names) {
  auto& [listed, exceptions, fewest_labels] = names;
  sort_without_repetition(exceptions);
  exceptions.shrink_to_fit();
  if (!exceptions.empty()) {
    listed.reserve(listed.size() + exceptions.size());
    listed.insert(listed.end(), exceptions.begin(), exceptions.end());
  }
  sort_without_repetition(listed);
  auto out = std::shared_ptr<NameSet>(new NameSet);
  out->size_ = listed.size();
  out->fewest_labels_ = fewest_labels;
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
