#include "policy/compile/tables.hpp"

#include <algorithm>

namespace gatehouse::policy {
namespace {

constexpr std::size_t kLongestIdentity = 255;
constexpr std::size_t kTokenDigits = 64;  // of a SHA-256

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
bool is_lower_hex(char c) noexcept { return is_digit(c) || (c >= 'a' && c <= 'f'); }
bool is_hex(char c) noexcept { return is_lower_hex(c) || (c >= 'A' && c <= 'F'); }

bool is_token(std::string_view value) noexcept {
  return value.size() == kTokenDigits && std::all_of(value.begin(), value.end(), is_lower_hex);
}

bool is_relay_key(std::string_view value) noexcept {
  return value == "*" || (!value.empty() && value.size() <= CredentialTable::kLongestRelayKey &&
                          value.size() % 2 == 0 && std::all_of(value.begin(), value.end(), is_hex));
}

bool is_typed(std::string_view identity) noexcept {
  for (const std::string_view type : {"token:", "cert:", "unix:", "relay:"})
    if (identity.starts_with(type) && identity.size() > type.size()) return true;
  return false;
}

std::optional<CredentialKind> kind_of(std::string_view text) noexcept {
  if (text == "token") return CredentialKind::token;
  if (text == "cert") return CredentialKind::cert;
  if (text == "unix") return CredentialKind::unix_user;
  if (text == "relay_key") return CredentialKind::relay_key;
  return {};
}

/// What is wrong with a value of that kind.
std::optional<Fault> value_fault(CredentialKind kind, std::string_view value) noexcept {
  if (kind == CredentialKind::token) return is_token(value) ? std::nullopt : std::optional(Fault::token_value);
  if (kind == CredentialKind::relay_key)
    return is_relay_key(value) ? std::nullopt : std::optional(Fault::relay_key_value);
  if (value == "*") return kind == CredentialKind::cert ? Fault::any_certificate : Fault::any_user;
  if (value.empty()) return Fault::no_value;
  return {};
}

/// What is wrong with whom the row is for.
std::optional<Fault> owner_fault(const Credential& row) noexcept {
  if (!is_typed(row.identity)) return Fault::identity_untyped;
  if (row.identity.size() > kLongestIdentity) return Fault::identity_too_long;
  if (row.plugin && row.plugin->empty()) return Fault::no_plugin;
  return {};
}

void add_credential(const Credential& row, Draft& draft) {
  const RowAt at{"credentials", row.id};
  const auto kind = kind_of(row.kind);
  if (!kind) return draft.problem(at, Fault::credential_kind, {row.kind});
  if (const auto fault = value_fault(*kind, row.value)) return draft.problem(at, *fault, {row.value});
  if (const auto fault = owner_fault(row))
    return draft.problem(at, *fault,
                         {*fault == Fault::identity_too_long ? std::to_string(kLongestIdentity) : row.identity});
  if (const CredentialOwner other = draft.parts.credentials.add(*kind, row))
    draft.problem(at, Fault::credential_given_twice, {std::to_string(other.row), other.identity});
}

}  // namespace

void compile_credentials(const Model& model, Draft& draft) {
  for (const Credential& row : model.credentials)
    if (draft.counts(row.life)) add_credential(row, draft);
}

}  // namespace gatehouse::policy
