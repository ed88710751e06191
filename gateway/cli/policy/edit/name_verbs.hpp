// `gatehouse policy block|unblock`: plain rows of domain_rules without SQL. What is written is judged first by the
// compiler that the gateway has, so that a row that goes in is in force. Each writes for people, or with `json` one
// JSON object, and returns the exit code (invocation.hpp); throws std::exception with a sentence. Main thread.
#pragma once

#include "gateway/cli/policy/edit/row_edit.hpp"

#include <filesystem>
#include <iosfwd>
#include <string>

namespace gatehouse {

struct NameOrder : RowOrder {
  std::string name;    ///< in any script
  bool exact = false;  ///< the name alone, not those below it
};

/// Blocks a name, and deletes the row that allows just that, unless the block is to end one day. A row that blocks it
/// already is renewed, or left alone; that is a yes too.
[[nodiscard]] int policy_block(const std::filesystem::path& database, const NameOrder& order, std::ostream& out,
                               bool json);

/// Deletes the rows that block exactly that name; where a list blocks it, inserts a row that allows it and all names
/// below it. 1 when something else still blocks it; then says what, and what would help.
[[nodiscard]] int policy_unblock(const std::filesystem::path& database, const NameOrder& order, std::ostream& out,
                                 bool json);

}  // namespace gatehouse
