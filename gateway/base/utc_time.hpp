// Unix seconds and how they are spelled, in UTC. Thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace gatehouse {

/// A time of the system's clock, rounded down.
[[nodiscard]] std::int64_t unix_seconds(std::chrono::system_clock::time_point time) noexcept;
[[nodiscard]] std::int64_t unix_now() noexcept;
/// What tests may put in its place.
using UnixClock = std::int64_t (*)() noexcept;

/// "2026-11-21 14:30:00 UTC", for people.
[[nodiscard]] std::string utc_text(std::int64_t unix_time);
/// "2026-11-21T14:30:00Z", for JSON and the log.
[[nodiscard]] std::string rfc3339(std::int64_t unix_time);

/// Reads "2026-11-21T14:30:00Z", "2026-11-21 14:30", "2026-11-21" (all UTC) or a number of seconds.
[[nodiscard]] std::optional<std::int64_t> parse_time(const std::string& text);

}  // namespace gatehouse
