// What the policy decides about a flow, and because of which row. A value; numbers and order as in abi.h (GH_*).
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace gatehouse::policy {

enum class Action : std::uint16_t { deny = 0, allow = 1 };

enum class Reason : std::uint16_t {
  none = 0,
  hard_deny = 1,
  bogon = 2,
  unwrapped = 3,
  domain = 4,
  dns_malformed = 5,
  port_permit = 6,
  default_action = 7,
  resolver = 8,
  peer = 9,
  no_policy = 10,
  concurrent_flows = 11,
  new_flow_rate = 12,
  destinations = 13,
  rate = 14,
  quota = 15,
  concurrent_sessions = 16,
  local = 17,
  admission = 18,
};

/// The table of policy.db that Verdict::row stands in.
enum class Table : std::uint32_t {
  none = 0,
  domain_rules = 1,
  domain_lists = 2,
  port_permits = 3,
  traffic_rules = 4,
  settings = 5,
  admissions = 6,
};

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
[[nodiscard]] std::string_view to_text(Reason reason) noexcept;
/// The table's name in the database; "" for none.
[[nodiscard]] std::string_view to_text(Table table) noexcept;

}  // namespace gatehouse::policy
