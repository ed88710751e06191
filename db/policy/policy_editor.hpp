// Edits of policy.db by Gatehouse's own commands: one transaction, with a name in the audit trail. One thread.
#pragma once

#include "db/file/work_limit.hpp"
#include "db/sqlite.hpp"
#include "policy/model.hpp"

#include <filesystem>
#include <string_view>

namespace gatehouse::db {

/// Whoever wrote the file, what it makes SQLite do on an edit is given up after `patience`, with SQLITE_INTERRUPT.
/// Holds the write lock from construction to commit() or destruction; without commit() nothing has happened.
class PolicyEditor {
 public:
  static constexpr std::chrono::seconds kPatience{30};

  /// @param who  what the audit trail says, such as "alice"
  /// @throws SqliteError, also when another writer keeps the database for five seconds; std::runtime_error when it is
  ///         not a policy database of this version
  PolicyEditor(const std::filesystem::path& path, std::string_view who, std::chrono::milliseconds patience = kPatience);

  /// For statements inside the transaction.
  [[nodiscard]] Database& database() noexcept { return database_; }
  /// The rows as they are now, with what this transaction has done. @throws SqliteError
  [[nodiscard]] policy::Model load();
  /// @throws SqliteError
  void commit();

 private:
  Database database_;
  WorkLimit limit_;
  Transaction transaction_;
};

}  // namespace gatehouse::db
