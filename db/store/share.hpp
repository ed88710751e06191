// Whose share of what is kept a session counts in, where there is a bound for all clients together.
#pragma once

#include "db/store/store.hpp"

#include <string>

namespace gatehouse::db {

/// Its identity, or without one the /32 or /64 that it came from: "token:bob", "192.0.2.7/32", "2001:db8:0:1::/64"; ""
/// where neither is known. Never longer than an identity or 43 bytes.
[[nodiscard]] std::string share_of(const SessionRecord& session);
/// The same with the /48 in place of the /64: who has a network of shares counts as one.
[[nodiscard]] std::string network_of(const SessionRecord& session);

}  // namespace gatehouse::db
