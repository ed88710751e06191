// What a start reads of state.db. One thread's, with its connection.
#pragma once

#include "db/sqlite.hpp"
#include "db/store/store.hpp"

#include <cstdint>

namespace gatehouse::db {

/// Everything that is remembered, but for values. Ends sessions that nobody can come back to, and deletes leases that
/// are over by the time that is believed. Inside the caller's transaction. About 3 us a session with its lease.
/// @throws SqliteError
[[nodiscard]] StoredState load_state(Database& state, std::int64_t believed);

}  // namespace gatehouse::db
