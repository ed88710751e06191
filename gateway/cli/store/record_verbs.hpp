// `gatehouse sessions|leases|usage`: what the gateway remembers of its clients. Verbs as in invocation.hpp; main
// thread.
//
// The running gateway is asked; when none runs, the rows are read from state.db, and a line on standard error names it.
#pragma once

#include "gateway/cli/invocation.hpp"

#include <cstddef>
#include <string>

namespace gatehouse {

struct RecordArguments {
  std::size_t most = 1000;      ///< rows; 0 = as many as can be shown at once
  bool ended = false;           ///< sessions that have ended, too
  std::string plugin{};         ///< of sessions: whose; "" = all
  std::string since;            ///< of usage: "2026-11-21", or "" = the first of this month
  std::string by = "identity";  ///< of usage: identity, group, plugin or day
};

[[nodiscard]] int sessions_verb(const Invocation& invocation, const RecordArguments& arguments);
[[nodiscard]] int leases_verb(const Invocation& invocation, const RecordArguments& arguments);
[[nodiscard]] int usage_verb(const Invocation& invocation, const RecordArguments& arguments);

}  // namespace gatehouse
