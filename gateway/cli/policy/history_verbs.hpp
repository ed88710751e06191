// `gatehouse policy history|diff|undo`: the audit trail of policy.db. Each writes for people, or with `json` one JSON
// object, and returns the exit code (invocation.hpp); throws std::exception with a sentence. Main thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <optional>

namespace gatehouse {

/// The newest changes, newest first: number, time, who, row, and what changed.
[[nodiscard]] int policy_history(const std::filesystem::path& database, std::int64_t limit, std::ostream& out,
                                 bool json);

/// What change `number` (none = the last one) and all later ones come to, row by row.
[[nodiscard]] int policy_diff(const std::filesystem::path& database, std::optional<std::int64_t> number,
                              std::ostream& out, bool json);

/// Reverts one change. A refusal is a "no", with a sentence on `err`.
/// @param force  also when the row has been changed since
[[nodiscard]] int policy_undo(const std::filesystem::path& database, std::int64_t number, bool force, std::ostream& out,
                              std::ostream& err, bool json);

}  // namespace gatehouse
