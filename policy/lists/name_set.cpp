#include "policy/lists/name_set.hpp"

#include <algorithm>

namespace gatehouse::policy {
namespace {

constexpr unsigned kSpecial = 3;  // the code of a name whose entry stands apart

}  // namespace

void NameSet::add(const HashedNames& names, HashedNames::Plain kind, unsigned code) {
  const std::span<const std::uint64_t> hashes = names.plain(kind);
  filter_.add(hashes);
  table_.add(hashes, code);
  if (!hashes.empty() && kind != HashedNames::exact && kind != HashedNames::open) reaches_below_ = true;
}

/// @param with_exact  those too: the code that they would have is that of open ones
void NameSet::add_special(const HashedNames& names, bool with_exact) {
  std::vector<HashedNames::Special> all = names.special();
  if (with_exact)
    for (const std::uint64_t hash : names.plain(HashedNames::exact)) all.push_back({hash, ListEntry::exact});
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.hash < b.hash; });
  special_hashes_.reserve(all.size());
  special_entries_.reserve(all.size());
  for (const auto& [hash, entry] : all) {
    special_hashes_.push_back(hash);
    special_entries_.push_back(entry);
    has_open_ = has_open_ || entry.below == ListMark::open;
    reaches_below_ = reaches_below_ || entry.below > ListMark::open;
  }
  filter_.add(special_hashes_);
  table_.add(special_hashes_, kSpecial);
}

std::shared_ptr<const NameSet> NameSet::build(HashedNames names) {
  names.settle();
  auto out = std::shared_ptr<NameSet>(new NameSet);
  out->size_ = names.size();
  out->fewest_labels_ = names.fewest_labels();
  out->filter_ = BlockedBloom(out->size_);
  out->table_ = FingerprintTable(out->size_);
  out->has_open_ = !names.plain(HashedNames::open).empty();
  if (out->has_open_) {
    out->entry_of_code_[0] = ListEntry::listed;
    out->add(names, HashedNames::open, 0);
  } else {
    out->add(names, HashedNames::exact, 0);
  }
  out->add(names, HashedNames::children, 1);
  out->add(names, HashedNames::suffix, 2);
  out->nearest_wins_ =
      names.nearest_wins || std::none_of(names.special().begin(), names.special().end(), [](auto& name) {
        return std::max(name.entry.at, name.entry.below) > ListMark::listed;
      });
  out->add_special(names, out->has_open_);
  return out;
}

ListEntry NameSet::look_up(std::uint64_t hash) const noexcept {
  const unsigned code = table_.find(hash);
  if (code < kSpecial) return entry_of_code_[code];
  const auto at = std::lower_bound(special_hashes_.begin(), special_hashes_.end(), hash);
  if (at == special_hashes_.end() || *at != hash) return ListEntry::none;  // not in the table, or in place of another
  return special_entries_[static_cast<std::size_t>(at - special_hashes_.begin())];
}

}  // namespace gatehouse::policy
