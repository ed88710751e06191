#include "gateway/store/idle_ends.hpp"

#include <algorithm>
#include <limits>

namespace gatehouse {
namespace {

std::int64_t idle_end_of(const policy::Limits& limits) noexcept {
  const auto& own = limits.session.session_idle_seconds.value;
  const auto& wanted = own ? own : limits.identity.session_idle_seconds.value;
  constexpr std::uint64_t kLongest = std::numeric_limits<std::int32_t>::max();
  return wanted ? static_cast<std::int64_t>(std::min(*wanted, kLongest)) : IdleEnds::kDefault;
}

/// 0 = never.
std::int64_t longer(std::int64_t a, std::int64_t b) noexcept { return a == 0 || b == 0 ? 0 : std::max(a, b); }

}  // namespace

IdleEnds idle_ends_of(const policy::Snapshot& snapshot) {
  IdleEnds out;
  const auto& groups = snapshot.parts().groups;
  if (groups.empty()) return out;
  out.of_others = idle_end_of(groups.back().limits);  // everyone
  for (const policy::GroupPolicy& group : groups) {
    const std::int64_t end = idle_end_of(group.limits);
    out.of_group.emplace(group.name, end);
    out.of_missing = longer(out.of_missing, end);
  }
  return out;
}

}  // namespace gatehouse
