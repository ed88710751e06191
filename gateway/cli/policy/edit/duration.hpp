// Durations as an operator writes them: how long a row is in force. Thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace gatehouse {

/// "90s", "15m", "2h", "7d" in seconds. @throws std::runtime_error with a sentence
[[nodiscard]] std::int64_t parse_duration(std::string_view text);

/// When a row given `--for text` ends, in Unix seconds; nothing for "". @throws std::runtime_error as parse_duration
[[nodiscard]] std::optional<std::int64_t> end_after(std::string_view text);

}  // namespace gatehouse
