// What `gatehouse policy block|unblock|permit|deny` share: a row that somebody orders, put into the policy once. Main
// thread; what cannot be done throws std::exception with a sentence.
#pragma once

#include "db/policy/policy_editor.hpp"
#include "gateway/base/utc_time.hpp"
#include "gateway/cli/policy/edit/present_policy.hpp"

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gatehouse {

/// What every such row has.
struct RowOrder {
  std::string group;    ///< a group's name, or its id; "" = all clients
  std::string lasts;    ///< "2h"; "" = without an end
  std::string comment;  ///< "" = leave it as it is
};

/// The id of the group that was named. @throws std::runtime_error when there is none
[[nodiscard]] GroupId find_group(const policy::Model& rows, const std::string& name_or_id);
/// "for all clients", "for group kids".
[[nodiscard]] std::string for_whom(const RowOrder& order);

/// Judges rows as the gateway will, without the rest of the policy. @throws std::runtime_error with its sentence
void must_compile(policy::Model rows);

/// A row that says the same already, whether it counts at the moment or not.
struct Twin {
  std::int64_t id = 0;
  policy::Life life;
};

/// The row for which `same` is true; of several, one that counts at the moment.
template <class Rows, class Same>
[[nodiscard]] std::optional<Twin> find_twin(const Rows& rows, Same same) {
  const std::int64_t now = unix_now();
  std::optional<Twin> out;
  for (const auto& row : rows)
    if (same(row) && (!out || (!out->life.counts_at(now) && row.life.counts_at(now)))) out = Twin{row.id, row.life};
  return out;
}

/// What an order came to.
struct Placed {
  std::int64_t row = 0;
  std::string_view what = "inserted";  ///< inserted, updated, unchanged
  std::optional<std::int64_t> expires_at;
};

/// NULL, or the number: a group, a time.
[[nodiscard]] db::Cell cell_of(std::optional<std::int64_t> number);

using RowValues = std::vector<std::pair<std::string, db::Cell>>;

/// Inserts the row, or renews the one that says the same.
[[nodiscard]] Placed place(db::PolicyEditor& editor, const std::string& table, const std::optional<Twin>& twin,
                           RowValues values, const RowOrder& order);

/// What is said about it: a sentence to each point, or the same as JSON.
struct Answer {
  std::string table;
  Placed placed;
  std::string what;                        ///< "ads.example and all names below it are blocked for all clients"
  std::string note = {};                   ///< "" or why that has no effect yet
  std::vector<std::int64_t> deleted = {};  ///< rows that said the opposite
};
void print(std::ostream& out, const Answer& answer, bool json);

}  // namespace gatehouse
