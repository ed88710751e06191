// `gatehouse policy block|unblock`: plain rows of domain_rules without SQL. A row is checked by the gateway's own
// compiler before it is written, so that each one that goes in is in force. Verbs as in invocation.hpp; main thread.
#pragma once

#include "gateway/cli/policy/edit/row_edit.hpp"

#include <string>

namespace gatehouse {

struct NameArguments : RowArguments {
  std::string name;    ///< in any script
  bool exact = false;  ///< the name alone, not those below it
};

/// Blocks a name, and deletes the row that allows exactly that name, unless the block has an end. A row that blocks it
/// already is renewed, or left alone; that is a yes too.
[[nodiscard]] int policy_block_verb(const Invocation& invocation, const NameArguments& arguments);

/// Deletes the rows that block exactly that name; where a list blocks it, inserts a row that allows it and all names
/// below it. A "no" when something else still blocks it; then prints what does, and a row that would help.
[[nodiscard]] int policy_unblock_verb(const Invocation& invocation, const NameArguments& arguments);

}  // namespace gatehouse
