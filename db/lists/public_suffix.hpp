// Which names stand for more than one owner's domains: the public suffix list that libpsl has built in. Thread-safe.
#pragma once

#include <string_view>

namespace gatehouse::db {

/// Does this canonical name stand for a registry's domains, such as "com" or "co.uk", or is it a single label? Not what
/// companies let others have names below, such as "duckdns.org": those are the private part of the list.
/// @throws std::runtime_error when libpsl was built without a list
[[nodiscard]] bool is_registry_suffix(std::string_view name);

}  // namespace gatehouse::db
