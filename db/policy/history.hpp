// The audit trail of policy.db: what was changed, by whom, what it comes to, and how to take it back. One thread.
#pragma once

#include "db/policy/policy_database.hpp"
#include "db/policy/policy_editor.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace gatehouse::db {

/// A row as it was: columns in the table's order.
using RowImage = std::vector<std::pair<std::string, Cell>>;

/// One row's way from before to after. An insertion has no old row, a deletion no new one.
struct RowChange {
  std::string table;
  std::int64_t row = 0;  ///< its id; after the change, where that moved it
  std::optional<RowImage> old_row, new_row;
};

struct Change : RowChange {
  std::int64_t number = 0;
  std::int64_t changed_at = 0;  ///< Unix seconds, UTC
  std::string who;
};

/// The column of `image`, or NULL.
[[nodiscard]] Cell column(const RowImage& image, std::string_view name);

/// Reads the trail; sees one moment of the database, that of the construction.
class History {
 public:
  /// @throws SqliteError; std::runtime_error when it is not a policy database of this version
  explicit History(const std::filesystem::path& path);

  /// The newest changes, newest first.
  [[nodiscard]] std::vector<Change> newest(std::int64_t limit);
  [[nodiscard]] std::optional<std::int64_t> last_number();
  /// The oldest change that is kept.
  [[nodiscard]] std::optional<std::int64_t> first_number();
  /// What change `number` and all later ones come to, a row each: rows that are again as they were are left out.
  [[nodiscard]] std::vector<RowChange> net_since(std::int64_t number);

 private:
  [[nodiscard]] std::vector<Change> select(std::string_view condition, std::int64_t value);

  Database database_;
  WorkLimit limit_;
  Transaction transaction_;
};

/// Reverts one change inside the editor's transaction: an insertion by deleting the row, a deletion by inserting it
/// with its id, an update by giving the columns that it changed their old values. That is a change too.
/// @param force  also when the row has been changed since: what came later is overwritten
/// @return what was done
/// @throws std::runtime_error with a sentence: there is no such change, the row has been changed since, it is as it
///         was, the file of the list that it was is gone;
///         SqliteError with that of the trigger or CHECK that refuses
RowChange undo(PolicyEditor& editor, std::int64_t number, bool force);

}  // namespace gatehouse::db
