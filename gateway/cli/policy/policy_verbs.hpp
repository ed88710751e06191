// `gatehouse policy init|show|problems|order`: work on the database file, whether a gateway runs or not. Verbs as in
// invocation.hpp; main thread.
#pragma once

#include "gateway/cli/invocation.hpp"

#include <string>

namespace gatehouse {

/// Makes policy.db, and its folder, with the starter policy; migrates an older one after a copy. Refuses where the file
/// is gone and a last good copy is there: the starter policy would allow what the lost rows denied.
[[nodiscard]] int policy_init_verb(const Invocation& invocation, const NoArguments&);

struct ShowArguments {
  std::string table;  ///< this one alone; "" = all
};
/// Every row, table by table.
[[nodiscard]] int policy_show_verb(const Invocation& invocation, const ShowArguments& arguments);

/// The rows that are not in force, or most likely not what is meant, each with a sentence. A "no" when there are any.
[[nodiscard]] int policy_problems_verb(const Invocation& invocation, const NoArguments&);

/// The order in which rules are judged; needs no database.
[[nodiscard]] int policy_order_verb(const Invocation& invocation, const NoArguments&);

}  // namespace gatehouse
