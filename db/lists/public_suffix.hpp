// Which names stand for more than one owner's domains: the public suffix list that libpsl has built in. Thread-safe.
#pragma once

#include <string_view>

namespace gatehouse::db {

/// Is this canonical name a top-level domain or another public suffix, such as "com", "co.uk" or "github.io"?
/// @throws std::runtime_error when libpsl was built without a list
[[nodiscard]] bool is_public_suffix(std::string_view name);

}  // namespace gatehouse::db
