#include "policy/match/group_members.hpp"

#include "policy/match/glob.hpp"
#include "policy/match/special_ranges.hpp"

#include <algorithm>

namespace gatehouse::policy {
namespace {

/// Of two groups that have the same member, the one that is judged first counts.
template <class Map>
void keep_first(Map& groups, const typename Map::key_type& member, GroupIndex group) {
  const auto [place, added] = groups.emplace(member, group);
  if (!added) place->second = std::min(place->second, group);
}

}  // namespace

void GroupMembers::add(GroupIndex group, Kind kind, const std::string& pattern) {
  if (kind != Kind::identity || !is_literal(pattern)) {
    globs_.push_back({kind, group, pattern});
    return;
  }
  keep_first(identities_, pattern, group);
}

void GroupMembers::add(GroupIndex group, const Prefix& source) { keep_first(prefixes_, source, group); }

void GroupMembers::finish() {
  std::stable_sort(globs_.begin(), globs_.end(), [](const Glob& a, const Glob& b) { return a.group < b.group; });
  if (prefixes_.empty()) return;
  std::vector<PrefixBits> borders;
  for (const auto& [prefix, group] : prefixes_) borders.emplace_back(prefix);
  ranges_ = AddressRanges(borders);
  of_range_.assign(ranges_.size(), kNone);
  for (const auto& [prefix, group] : prefixes_) {
    const auto [first, end] = ranges_.inside(PrefixBits(prefix));
    for (std::uint32_t range = first; range < end; ++range) of_range_[range] = std::min(of_range_[range], group);
  }
  prefixes_.clear();
}

GroupIndex GroupMembers::of_source(const IpAddress& source) const noexcept {
  const IpAddress address = canonical_address(source).address;
  if (of_range_.empty() || address.family() == Family::none) return kNone;
  return of_range_[ranges_.find(AddressBits(address))];
}

std::optional<GroupIndex> GroupMembers::find(const ClientFacts& client) const noexcept {
  GroupIndex best = of_source(client.source);
  if (!client.identity.empty())
    if (const auto found = identities_.find(client.identity); found != identities_.end())
      best = std::min(best, found->second);
  const auto matches = [&](const Glob& glob) {
    switch (glob.kind) {
      case Kind::identity: return !client.identity.empty() && glob_match(glob.pattern, client.identity);
      case Kind::listener: return glob_match(glob.pattern, client.listener);
      case Kind::plugin: return glob_match(glob.pattern, client.plugin);
    }
    return false;
  };
  for (const Glob& glob : globs_) {
    if (glob.group >= best) break;
    if (matches(glob)) return glob.group;
  }
  return best == kNone ? std::nullopt : std::optional(best);
}

}  // namespace gatehouse::policy
