#include "policy/match/credential_table.hpp"

#include <algorithm>
#include <tuple>

namespace gatehouse::policy {
namespace {

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

}  // namespace

CredentialOwner CredentialTable::add(CredentialKind kind, const Credential& row) {
  std::string value = row.value;
  if (kind == CredentialKind::relay_key) std::transform(value.begin(), value.end(), value.begin(), lower);
  Entries& entries = by_kind_[static_cast<std::size_t>(kind)][value];
  Entry entry{row.plugin.value_or(""), row.identity, row.id};
  const auto before = [](const Entry& a, const Entry& b) {
    return std::tuple(a.plugin.empty(), a.row) < std::tuple(b.plugin.empty(), b.row);
  };
  for (const Entry& other : entries)
    if (other.plugin == entry.plugin && other.identity != entry.identity && other.row < entry.row)
      return {other.identity, other.row};
  entries.insert(std::upper_bound(entries.begin(), entries.end(), entry, before), std::move(entry));
  ++size_;
  return {};
}

CredentialOwner CredentialTable::pick(const ByValue& of, std::string_view value, std::string_view plugin) noexcept {
  const auto found = of.find(value);
  if (found == of.end()) return {};
  for (const Entry& entry : found->second)
    if (entry.plugin.empty() || entry.plugin == plugin) return {entry.identity, entry.row};
  return {};
}

CredentialOwner CredentialTable::find(CredentialKind kind, std::string_view value,
                                      std::string_view plugin) const noexcept {
  const ByValue& of = by_kind_[static_cast<std::size_t>(kind)];
  if (kind != CredentialKind::relay_key) return pick(of, value, plugin);
  std::array<char, kLongestRelayKey> folded;
  if (value.size() <= folded.size()) {
    std::transform(value.begin(), value.end(), folded.begin(), lower);
    if (const CredentialOwner owner = pick(of, {folded.data(), value.size()}, plugin)) return owner;
  }
  return pick(of, "*", plugin);
}

}  // namespace gatehouse::policy
