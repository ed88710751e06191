// Durations as the protocol's JSON has them: "30s", "5m0s", "1.5s", "100ms".
#pragma once

#include <gatehouse/base/clock.hpp>
#include <gatehouse/base/error.hpp>

#include <string>
#include <string_view>

namespace gatehouse::geneve_relay {

/// `duration`, not negative, as Go's time.Duration writes it.
[[nodiscard]] std::string to_duration_text(Nanoseconds duration);

/// What Go's time.ParseDuration reads, without signs: numbers, with or without a fraction, each with its unit (h, m, s,
/// ms, us, ns, and the micro sign before s), in any order; or "0".
/// @return Errc::malformed  anything else
///         Errc::oversize   beyond what Nanoseconds hold
[[nodiscard]] Result<Nanoseconds> parse_duration_text(std::string_view text) noexcept;

}  // namespace gatehouse::geneve_relay
