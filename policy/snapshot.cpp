#include "policy/snapshot.hpp"

#include "policy/order.hpp"

namespace gatehouse::policy {

namespace {

/// Writes down the rows beside the verdict and nothing else.
struct SideWitness {
  SideHits& hits;
  static constexpr bool kListens = true;
  void judged_as(const Canonical&) noexcept {}
  void finds(Step, Finding finding, std::int64_t row = 0, const SpecialRange* = nullptr,
             std::string_view = {}) noexcept {
    if (finding == Finding::name_monitored) hits.add({Table::domain_rules, row});
    if (finding == Finding::list_monitored) hits.add({Table::domain_lists, row});
    if (finding == Finding::permit_monitors) hits.add({Table::port_permits, row});
    if (finding == Finding::name_allowed) hits.allowed_name = {Table::domain_rules, row};
    if (finding == Finding::list_allows) hits.allowed_name = {Table::domain_lists, row};
  }
};

}  // namespace

std::shared_ptr<const Snapshot> Snapshot::without_policy(std::uint64_t generation) {
  SnapshotParts parts;
  parts.has_policy = false;
  parts.groups.emplace_back().name = "everyone";
  return std::make_shared<const Snapshot>(std::move(parts), generation);
}

GroupIndex Snapshot::group_of(const ClientFacts& client) const noexcept {
  const auto everyone = static_cast<GroupIndex>(parts_.groups.size() - 1);
  ClientFacts canonical_client = client;
  canonical_client.source = canonical(client.source);
  return parts_.members.find(canonical_client).value_or(everyone);
}

std::optional<std::int64_t> Snapshot::refuses(GroupIndex index, const ClientFacts& client) const noexcept {
  const AdmissionTable::Row* const row = parts_.admissions.find(index, client.plugin, client.listener);
  if (row == nullptr || row->allows) return {};
  return row->id;
}

Verdict Snapshot::judge(const Standing& client, const Flow& flow) const noexcept {
  NoWitness nobody;
  return OrderWalk<NoWitness>(*this, client, flow, nobody).run();
}

Verdict Snapshot::judge(const Standing& client, const Flow& flow, SideHits& hits) const noexcept {
  hits.count = hits.more = 0;
  hits.allowed_name = {};
  if (!parts_.has_side_rows) return judge(client, flow);
  SideWitness witness{hits};
  return OrderWalk<SideWitness>(*this, client, flow, witness).run();
}

}  // namespace gatehouse::policy
