// What the verbs that edit policy.db share: who edits, and how long a row counts. Main thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace gatehouse {

/// The operator's name for the audit trail: the user's, or for root through sudo the one who called it.
[[nodiscard]] std::string editor_name();

/// "90s", "15m", "2h", "7d" in seconds. @throws std::runtime_error with a sentence
[[nodiscard]] std::int64_t parse_duration(std::string_view text);

/// When a row given `--for text` ends; nothing for "". @throws std::runtime_error as parse_duration
[[nodiscard]] std::optional<std::int64_t> end_after(std::string_view text);

}  // namespace gatehouse
