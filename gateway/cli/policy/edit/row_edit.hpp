// What `gatehouse policy block|unblock|permit|deny` share: one row that an operator asks for, inserted or renewed. Main
// thread; what cannot be done throws std::exception with a sentence.
#pragma once

#include "db/policy/policy_editor.hpp"
#include "gateway/base/utc_time.hpp"
#include "gateway/cli/invocation.hpp"
#include "gateway/cli/policy/edit/current_policy.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gatehouse {

/// The options that every such row takes.
struct RowArguments {
  std::string group;     ///< a group's name, or its id; "" = all clients
  std::string duration;  ///< "2h"; "" = without an end
  std::string comment;   ///< "" = leave it as it is
};

/// The id of the group with that name. @throws std::runtime_error when there is none
[[nodiscard]] GroupId find_group(const policy::Model& rows, const std::string& name_or_id);
/// "for all clients", "for group kids".
[[nodiscard]] std::string for_whom(const RowArguments& arguments);

/// Compiles rows as the gateway will, without the rest of the policy. @throws std::runtime_error with its sentence
void must_compile(policy::Model rows);

/// A row that has the same effect already, whether it is in force at the moment or not.
struct ExistingRow {
  std::int64_t id = 0;
  policy::Life life;
};

/// The row for which `same` is true; of several, one that is in force at the moment.
template <class Rows, class Same>
[[nodiscard]] std::optional<ExistingRow> find_existing(const Rows& rows, Same same) {
  const std::int64_t now = unix_now();
  std::optional<ExistingRow> out;
  for (const auto& row : rows)
    if (same(row) && (!out || (!out->life.counts_at(now) && row.life.counts_at(now))))
      out = ExistingRow{row.id, row.life};
  return out;
}

/// NULL, or the number: a group, a time.
[[nodiscard]] db::Cell cell_of(std::optional<std::int64_t> number);

using RowValues = std::vector<std::pair<std::string, db::Cell>>;

/// The row after an edit, and what the edit did to it.
struct EditedRow {
  std::int64_t id = 0;
  std::string_view done = "inserted";  ///< inserted, updated, unchanged
  std::optional<std::int64_t> expires_at;
};

/// Inserts the row, or renews the existing one.
[[nodiscard]] EditedRow put_row(db::PolicyEditor& editor, const std::string& table,
                                const std::optional<ExistingRow>& existing, RowValues values,
                                const RowArguments& arguments);

/// All that an edit did, to be printed in sentences or as JSON.
struct EditReport {
  std::string table;
  EditedRow row;
  std::string effect;                      ///< "ads.example and all names below it are blocked for all clients"
  std::string note = {};                   ///< "" or why that has no effect yet
  std::vector<std::int64_t> deleted = {};  ///< rows that had the opposite effect
};
void print_report(const Invocation& invocation, const EditReport& report);

}  // namespace gatehouse
