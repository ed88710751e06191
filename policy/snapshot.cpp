#include "policy/snapshot.hpp"

#include "policy/match/glob.hpp"
#include "policy/order.hpp"

namespace gatehouse::policy {

namespace {

/// Writes down the monitors and nothing else.
struct MonitorWitness {
  MonitorHits& hits;
  static constexpr bool kListens = true;
  void judged_as(const Canonical&) noexcept {}
  void finds(Step, Finding finding, std::int64_t row = 0, const SpecialRange* = nullptr,
             std::string_view = {}) noexcept {
    if (finding == Finding::name_monitored) hits.add({Table::domain_rules, row});
    if (finding == Finding::list_monitored) hits.add({Table::domain_lists, row});
    if (finding == Finding::permit_monitors) hits.add({Table::port_permits, row});
  }
};

}  // namespace

bool MemberPattern::matches(const ClientFacts& client) const noexcept {
  switch (kind) {
    case Kind::identity: return !client.identity.empty() && glob_match(glob, client.identity);
    case Kind::source: return source.contains(AddressBits(canonical_address(client.source).address));
    case Kind::listener: return glob_match(glob, client.listener);
    case Kind::plugin: return glob_match(glob, client.plugin);
  }
  return false;
}

std::shared_ptr<const Snapshot> Snapshot::without_policy(std::uint64_t generation) {
  SnapshotParts parts;
  parts.has_policy = false;
  parts.groups.emplace_back().name = "everyone";
  return std::make_shared<const Snapshot>(std::move(parts), generation);
}

GroupIndex Snapshot::group_of(const ClientFacts& client) const noexcept {
  auto best = static_cast<GroupIndex>(parts_.groups.size() - 1);  // everyone
  if (!client.identity.empty())
    if (const auto found = parts_.literal_members.find(client.identity); found != parts_.literal_members.end())
      best = found->second;
  for (const MemberPattern& member : parts_.members) {
    if (member.group >= best) break;
    if (member.matches(client)) return member.group;
  }
  return best;
}

Verdict Snapshot::judge(GroupIndex index, bool allow_local, const Flow& flow) const noexcept {
  NoWitness nobody;
  return OrderWalk<NoWitness>(*this, group(index), allow_local, flow, nobody).run();
}

Verdict Snapshot::judge(GroupIndex index, bool allow_local, const Flow& flow, MonitorHits& hits) const noexcept {
  hits.count = hits.more = 0;
  if (!parts_.has_monitors) return judge(index, allow_local, flow);
  MonitorWitness witness{hits};
  return OrderWalk<MonitorWitness>(*this, group(index), allow_local, flow, witness).run();
}

}  // namespace gatehouse::policy
