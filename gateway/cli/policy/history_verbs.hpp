// `gatehouse policy history|diff|undo`: the audit trail of policy.db. Verbs as in invocation.hpp; main thread.
#pragma once

#include "gateway/cli/invocation.hpp"

#include <cstdint>
#include <optional>

namespace gatehouse {

struct HistoryArguments {
  std::int64_t limit = 20;  ///< at most so many changes
};
/// The newest changes, newest first: number, time, who, row, and what changed.
[[nodiscard]] int policy_history_verb(const Invocation& invocation, const HistoryArguments& arguments);

struct DiffArguments {
  std::optional<std::int64_t> change;  ///< none = the last one
};
/// The combined effect of a change and all later ones, row by row.
[[nodiscard]] int policy_diff_verb(const Invocation& invocation, const DiffArguments& arguments);

struct UndoArguments {
  std::int64_t change = 0;
  bool force = false;  ///< also when the row has been changed since
};
/// Reverts one change. A refusal is a "no".
[[nodiscard]] int policy_undo_verb(const Invocation& invocation, const UndoArguments& arguments);

}  // namespace gatehouse
