// When a session that can be resumed ends for want of traffic: `session_idle_seconds` of the traffic rules, by group.
#pragma once

#include "policy/snapshot.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace gatehouse {

/// A value. In seconds; 0 = never.
struct IdleEnds {
  static constexpr std::int64_t kDefault = 30 * 86'400;  ///< where no row says

  std::int64_t of_others = kDefault;                            ///< in no group
  std::map<std::string, std::int64_t, std::less<>> of_group{};  ///< by name
  /// In a group that is not there, perhaps since it has another name now, or a row that is being mended: the longest.
  std::int64_t of_missing = kDefault;

  [[nodiscard]] std::int64_t of(std::string_view group) const {
    if (group.empty()) return of_others;
    const auto found = of_group.find(group);
    return found == of_group.end() ? of_missing : found->second;
  }
};

/// What the rules of a snapshot come to. Scope session counts before identity, as for plugins.
[[nodiscard]] IdleEnds idle_ends_of(const policy::Snapshot& snapshot);

}  // namespace gatehouse
