// What the policy decides about a flow, and because of which row. A value; numbers and order as in abi.h (GH_*).
#pragma once

#include <gatehouse/base/reason.hpp>

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace gatehouse::policy {

enum class Action : std::uint16_t { deny = 0, allow = 1 };

using gatehouse::Reason;
using gatehouse::to_text;
using Table = RuleTable;  ///< that Verdict::row stands in

struct Verdict {
  Action action = Action::deny;
  Reason reason = Reason::none;
  Table table = Table::none;
  std::int64_t row = 0;  ///< id in `table`; meaningless with Table::none
  std::uint64_t generation = 0;
  [[nodiscard]] bool allowed() const noexcept { return action == Action::allow; }
  bool operator==(const Verdict&) const = default;
};

/// A row of a table.
struct RowRef {
  Table table = Table::none;
  std::int64_t row = 0;
  auto operator<=>(const RowRef&) const = default;
};

/// Rows that matched one flow without deciding its verdict.
struct SideHits {
  /// Monitor rows; the first few, for a row that only watches must never cost a verdict its time.
  std::array<RowRef, 8> rows;
  std::size_t count = 0;
  std::size_t more = 0;  ///< that matched besides
  RowRef allowed_name;   ///< the row or list that let the name pass; Table::none where no such one did
  [[nodiscard]] bool any() const noexcept { return count != 0 || allowed_name.table != Table::none; }
  void add(RowRef row) noexcept {
    if (count < rows.size())
      rows[count++] = row;
    else
      ++more;
  }
};

/// "allow", "deny".
[[nodiscard]] std::string_view to_text(Action action) noexcept;
/// One word, stable, for metric labels: "hard_deny", "port_permit", "default".
/// The table's name in the database; "" for none.

}  // namespace gatehouse::policy
