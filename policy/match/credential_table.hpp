// Who presents this credential? The rows of `credentials`, compiled. Built once, then immutable and thread-safe.
#pragma once

#include "policy/model.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::policy {

/// With the numbers of GH_CREDENTIAL_* (abi.h).
enum class CredentialKind : std::uint8_t { token = 1, cert = 2, unix_user = 3, relay_key = 4 };

/// Whose it is, and by which row. The text belongs to the table.
struct CredentialOwner {
  std::string_view identity;  ///< "token:bob"
  std::int64_t row = 0;
  explicit operator bool() const noexcept { return !identity.empty(); }
};

class CredentialTable {
 public:
  static constexpr std::size_t kLongestRelayKey = 128;  ///< hex digits: a key of 64 bytes

  /// Takes a row in, whose fields are the caller's to judge.
  /// @return false as a bool; or, for a row that is left out, an earlier one that gives the same credential away
  CredentialOwner add(CredentialKind kind, const Credential& row);

  /// The best row for that value: an exact value beats `*`, then a row for this plugin beats one for all, then the
  /// lower id. None: false as a bool. Does not allocate.
  /// @param value  a token's SHA-256 in lower-case hex, a certificate's name, a user's name, a relay key in hex
  [[nodiscard]] CredentialOwner find(CredentialKind kind, std::string_view value,
                                     std::string_view plugin) const noexcept;

  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  struct Entry {
    std::string plugin;  // "" = every plugin
    std::string identity;
    std::int64_t row = 0;
  };
  using Entries = std::vector<Entry>;  // a row for one plugin before a row for all, then by id
  using ByValue = std::map<std::string, Entries, std::less<>>;

  [[nodiscard]] static CredentialOwner pick(const ByValue& of, std::string_view value,
                                            std::string_view plugin) noexcept;

  std::array<ByValue, 5> by_kind_;  // by CredentialKind; relay keys in lower case
  std::size_t size_ = 0;
};

}  // namespace gatehouse::policy
