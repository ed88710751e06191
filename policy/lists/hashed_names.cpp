#include "policy/lists/hashed_names.hpp"

#include <algorithm>
#include <optional>

namespace gatehouse::policy {
namespace {

using Hashes = std::vector<std::uint64_t>;

constexpr std::array<ListEntry, HashedNames::plain_kinds> kPlain{ListEntry::exact, ListEntry::children,
                                                                 ListEntry::suffix, ListEntry::listed};

void sort_without_repetition(Hashes& hashes) {
  std::sort(hashes.begin(), hashes.end());
  hashes.erase(std::unique(hashes.begin(), hashes.end()), hashes.end());
}

bool holds(const Hashes& sorted, std::uint64_t hash) { return std::binary_search(sorted.begin(), sorted.end(), hash); }

void sort_and_merge(std::vector<HashedNames::Special>& names) {
  std::sort(names.begin(), names.end(), [](const auto& a, const auto& b) { return a.hash < b.hash; });
  std::size_t used = 0;
  for (const auto& name : names) {
    if (used > 0 && names[used - 1].hash == name.hash)
      names[used - 1].entry |= name.entry;
    else
      names[used++] = name;
  }
  names.resize(used);
  names.shrink_to_fit();
}

}  // namespace

void HashedNames::reserve(std::size_t names) {
  for (Hashes& kind : plain_) kind.reserve(names);
}

void HashedNames::add(std::string_view name, ListEntry entry, const HashSeed& seed) {
  const auto labels = static_cast<std::size_t>(std::count(name.begin(), name.end(), '.')) + 1;
  fewest_labels_ = fewest_labels_ == 0 ? labels : std::min(fewest_labels_, labels);
  add(hash_name(name, seed), entry);
}

void HashedNames::add(std::uint64_t hash, ListEntry entry) {
  const auto kind = std::find(kPlain.begin(), kPlain.end(), entry);
  if (kind != kPlain.end())
    plain_[static_cast<std::size_t>(kind - kPlain.begin())].push_back(hash);
  else if (entry != ListEntry::none)
    special_.push_back({hash, entry});
}

std::size_t HashedNames::size() const noexcept {
  std::size_t out = special_.size();
  for (const Hashes& kind : plain_) out += kind.size();
  return out;
}

/// Makes a special name of each that stands in several places, which is rare: files have a name once.
void HashedNames::gather_repeated() {
  Hashes repeated;
  for (std::size_t a = 0; a < plain_.size(); ++a)
    for (std::size_t b = a + 1; b < plain_.size(); ++b)
      std::set_intersection(plain_[a].begin(), plain_[a].end(), plain_[b].begin(), plain_[b].end(),
                            std::back_inserter(repeated));
  for (const Special& name : special_)
    if (std::any_of(plain_.begin(), plain_.end(), [&](const Hashes& kind) { return holds(kind, name.hash); }))
      repeated.push_back(name.hash);
  if (repeated.empty()) return;
  sort_without_repetition(repeated);
  for (std::size_t i = 0; i < plain_.size(); ++i)
    std::erase_if(plain_[i], [&](std::uint64_t hash) {
      const bool is_repeated = holds(repeated, hash);
      if (is_repeated) special_.push_back({hash, kPlain[i]});
      return is_repeated;
    });
  sort_and_merge(special_);
}

void HashedNames::settle() {
  for (Hashes& kind : plain_) sort_without_repetition(kind);
  sort_and_merge(special_);
  gather_repeated();
}

}  // namespace gatehouse::policy
