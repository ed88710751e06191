#include "policy/match/credential_table.hpp"

#include <algorithm>
#include <optional>
#include <tuple>

namespace gatehouse::policy {
namespace {

constexpr std::size_t kLongestRelayKey = 128;  // hex digits: a key of 64 bytes
constexpr std::size_t kTokenDigits = 64;       // of a SHA-256

std::string quoted(std::string_view text) { return '`' + std::string(text) + '`'; }

std::optional<CredentialKind> kind_of(std::string_view text) noexcept {
  if (text == "token") return CredentialKind::token;
  if (text == "cert") return CredentialKind::cert;
  if (text == "unix") return CredentialKind::unix_user;
  if (text == "relay_key") return CredentialKind::relay_key;
  return {};
}

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }
bool is_hex(char c) noexcept { return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'f'); }
bool is_lower_hex(char c) noexcept { return is_digit(c) || (c >= 'a' && c <= 'f'); }

bool is_typed(std::string_view identity) noexcept {
  for (const std::string_view type : {"token:", "cert:", "unix:", "relay:"})
    if (identity.starts_with(type) && identity.size() > type.size()) return true;
  return false;
}

std::string value_sentence(CredentialKind kind, std::string_view value) {
  if (kind == CredentialKind::token &&
      (value.size() != kTokenDigits || !std::all_of(value.begin(), value.end(), is_lower_hex)))
    return "the value is not the SHA-256 of a token, 64 lower-case hex digits: `gatehouse token new` makes such a row";
  if (kind == CredentialKind::relay_key && value != "*" &&
      (value.empty() || value.size() > kLongestRelayKey || value.size() % 2 != 0 ||
       !std::all_of(value.begin(), value.end(), is_hex)))
    return quoted(value) + " is not a relay key: write it in hex, or * for any key";
  if (kind != CredentialKind::relay_key && value == "*")
    return "* stands for any relay key only: write the name of one " +
           std::string(kind == CredentialKind::cert ? "certificate" : "user");
  if (value.empty()) return "value is empty";
  return {};
}

}  // namespace

std::string CredentialTable::add(const Credential& row) {
  const auto kind = kind_of(row.kind);
  if (!kind) return quoted(row.kind) + " is no kind: write token, cert, unix or relay_key";
  if (std::string why = value_sentence(*kind, row.value); !why.empty()) return why;
  if (!is_typed(row.identity))
    return quoted(row.identity) + " is no identity: write token:bob, cert:bob.example, unix:bob or relay:site";
  if (row.identity.size() > kLongestIdentity)
    return "the identity is longer than " + std::to_string(kLongestIdentity) + " bytes: choose a shorter one";
  if (row.plugin && row.plugin->empty()) return "plugin is empty: write a plugin's name, or NULL for every plugin";

  std::string value = row.value;
  if (*kind == CredentialKind::relay_key) std::transform(value.begin(), value.end(), value.begin(), lower);
  Entries& entries = by_kind_[static_cast<std::size_t>(*kind)][value];
  Entry entry{row.plugin.value_or(""), row.identity, row.id};
  const auto before = [](const Entry& a, const Entry& b) {
    return std::tuple(a.plugin.empty(), a.row) < std::tuple(b.plugin.empty(), b.row);
  };
  for (const Entry& other : entries)
    if (other.plugin == entry.plugin && other.identity != entry.identity && other.row < entry.row)
      return "row " + std::to_string(other.row) + " gives the same credential to " + quoted(other.identity) +
             ": delete one of them";
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
