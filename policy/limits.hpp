// The result of the traffic rules for one group, after inheritance. A value, part of a snapshot.
#pragma once

#include "policy/model.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace gatehouse::policy {

/// One column, resolved: the group's own row, else the one of `everyone`.
struct Limit {
  std::optional<std::uint64_t> value;  ///< none = no rule sets it, the plugin's default applies; 0 = no limit
  std::int64_t row = 0;                ///< of traffic_rules, where `value` stands
  /// The limit to enforce, or 0 where there is none.
  [[nodiscard]] std::uint64_t or_none() const noexcept { return value.value_or(0); }
  bool operator==(const Limit&) const = default;
};

/// The columns of traffic_rules, in their units.
struct ScopeLimits {
  Limit rate_up, rate_down, burst_up, burst_down, unthrottled_up, unthrottled_down;
  Limit quota_bytes;
  std::string quota_period;  ///< day, month; "" = no rule sets it: month
  Limit concurrent_flows, new_flows_per_second, destinations_per_minute, concurrent_sessions;
  Limit token_failures_per_minute;
  Limit udp_idle_seconds, tcp_idle_seconds, session_idle_seconds;
};

/// A minute from one source, where no rule says: what the starter policy has. Policies of before that column have none.
inline constexpr std::uint64_t kDefaultTokenFailures = 20;

/// Both scopes hold at once: what one session may do, and what all sessions of one identity may do together.
struct Limits {
  ScopeLimits session;
  ScopeLimits identity;
  /// Sessions are counted for an identity or source, whichever scope the row has.
  [[nodiscard]] const Limit& concurrent_sessions() const noexcept {
    return identity.concurrent_sessions.value ? identity.concurrent_sessions : session.concurrent_sessions;
  }
  /// Tokens that are nobody's are counted for a source, whichever scope the row has. Always has a value: where no rule
  /// sets one, kDefaultTokenFailures of row 0.
  [[nodiscard]] Limit token_failures() const noexcept {
    if (identity.token_failures_per_minute.value) return identity.token_failures_per_minute;
    if (session.token_failures_per_minute.value) return session.token_failures_per_minute;
    return {kDefaultTokenFailures, 0};
  }
};

/// One numeric column of traffic_rules: the same list drives reading, resolving and showing, so that none drifts.
struct TrafficColumn {
  std::string_view name;
  Amount TrafficRule::*row;
  Limit ScopeLimits::*limit;
};

inline constexpr std::array<TrafficColumn, 15> kTrafficColumns{{
    {"rate_up", &TrafficRule::rate_up, &ScopeLimits::rate_up},
    {"rate_down", &TrafficRule::rate_down, &ScopeLimits::rate_down},
    {"burst_up", &TrafficRule::burst_up, &ScopeLimits::burst_up},
    {"burst_down", &TrafficRule::burst_down, &ScopeLimits::burst_down},
    {"unthrottled_up", &TrafficRule::unthrottled_up, &ScopeLimits::unthrottled_up},
    {"unthrottled_down", &TrafficRule::unthrottled_down, &ScopeLimits::unthrottled_down},
    {"quota_bytes", &TrafficRule::quota_bytes, &ScopeLimits::quota_bytes},
    {"concurrent_flows", &TrafficRule::concurrent_flows, &ScopeLimits::concurrent_flows},
    {"new_flows_per_second", &TrafficRule::new_flows_per_second, &ScopeLimits::new_flows_per_second},
    {"destinations_per_minute", &TrafficRule::destinations_per_minute, &ScopeLimits::destinations_per_minute},
    {"concurrent_sessions", &TrafficRule::concurrent_sessions, &ScopeLimits::concurrent_sessions},
    {"token_failures_per_minute", &TrafficRule::token_failures_per_minute, &ScopeLimits::token_failures_per_minute},
    {"udp_idle_seconds", &TrafficRule::udp_idle_seconds, &ScopeLimits::udp_idle_seconds},
    {"tcp_idle_seconds", &TrafficRule::tcp_idle_seconds, &ScopeLimits::tcp_idle_seconds},
    {"session_idle_seconds", &TrafficRule::session_idle_seconds, &ScopeLimits::session_idle_seconds},
}};

}  // namespace gatehouse::policy
