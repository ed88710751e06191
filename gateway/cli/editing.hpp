// What the verbs that edit policy.db share: who edits, times and their spelling. Main thread.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>

namespace gatehouse {

/// The operator's name for the audit trail: the user's, or for root through sudo the one who called it.
[[nodiscard]] std::string editor_name();

/// Unix seconds.
[[nodiscard]] std::int64_t unix_now();

/// "90s", "15m", "2h", "7d" in seconds. @throws std::runtime_error with a sentence
[[nodiscard]] std::int64_t parse_duration(std::string_view text);

/// When a row given `--for text` ends; nothing for "". @throws std::runtime_error as parse_duration
[[nodiscard]] std::optional<std::int64_t> end_after(std::string_view text);

/// "2026-11-21 14:30:00 UTC" for people, "2026-11-21T14:30:00Z" for JSON.
[[nodiscard]] std::string utc_text(std::int64_t time);
[[nodiscard]] std::string rfc3339(std::int64_t time);

/// One JSON object, indented, whatever bytes its texts hold.
void print_json(std::ostream& out, const nlohmann::ordered_json& body);

}  // namespace gatehouse
