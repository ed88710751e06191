// gh.identity/1: whose credential is this? For now the users of this system, by the uid of a Unix peer.
#pragma once

#include <gatehouse/abi.h>

#include <optional>
#include <string>
#include <string_view>

namespace gatehouse {

/// "unix:bob" for a decimal uid of this system; nothing when that is no user's. Thread-safe; may read files.
[[nodiscard]] std::optional<std::string> unix_identity(std::string_view uid);

/// Resolves GH_CREDENTIAL_UNIX; every other kind is nobody's.
[[nodiscard]] const gh_identity* identity_table() noexcept;

}  // namespace gatehouse
