// The store's two databases while they are open. One thread's.
#pragma once

#include "db/store/files/database_file.hpp"
#include "db/store/rows/state_rows.hpp"

#include <filesystem>

namespace gatehouse::db {

struct StoreFiles {
  /// @throws as DatabaseFile
  StoreFiles(const std::filesystem::path& state_db, const std::filesystem::path& secrets_db, StoreOpening& opening)
      : state(state_db, state_kind(), opening),
        secrets(secrets_db, secrets_kind(), opening),
        rows(state.database()),
        values(state.database()),
        secret_values(secrets.database()) {}

  [[nodiscard]] bool are_current() const noexcept { return state.is_current() && secrets.is_current(); }

  DatabaseFile state, secrets;
  StateRows rows;
  ValueRows values, secret_values;
};

}  // namespace gatehouse::db
