#include "policy/compile/cidr.hpp"
#include "policy/compile/tables.hpp"
#include "policy/match/glob.hpp"

#include <algorithm>
#include <tuple>

namespace gatehouse::policy {
namespace {

/// Reads what the row's pattern matches; tells the draft where it cannot.
std::optional<MemberPattern> read_member(const GroupMember& row, GroupIndex group, Draft& draft) {
  using Kind = MemberPattern::Kind;
  const auto glob = [&](Kind kind) { return MemberPattern{kind, group, row.pattern, {}}; };
  const RowAt at{"group_members", row.id};
  if (row.kind == "identity") return glob(Kind::identity);
  if (row.kind == "listener") return glob(Kind::listener);
  if (row.kind == "plugin") return glob(Kind::plugin);
  if (row.kind != "source") {
    draft.problem(at, Fault::member_kind, {row.kind});
  } else if (const auto source = read_cidr(row.pattern, at, draft)) {
    return MemberPattern{Kind::source, group, {}, *source};
  }
  return {};
}

}  // namespace

void compile_groups(const Model& model, Draft& draft) {
  std::vector<const Group*> order;
  for (const Group& row : model.groups) {
    draft.add_disabled_group(row.id);
    if (row.enabled && row.id != 0) order.push_back(&row);
  }
  std::sort(order.begin(), order.end(),
            [](const Group* a, const Group* b) { return std::tie(a->priority, a->id) < std::tie(b->priority, b->id); });
  for (const Group* row : order) draft.add_group(row->id, row->name);
  draft.add_group(0, "everyone");
}

void compile_group_members(const Model& model, Draft& draft) {
  SnapshotParts& parts = draft.parts;
  for (const GroupMember& row : model.group_members) {
    if (!draft.counts(row.life)) continue;
    const auto group = draft.group(row.group_id, {"group_members", row.id});
    if (!group || row.group_id == 0) continue;
    auto member = read_member(row, *group, draft);
    if (!member) continue;
    if (member->kind == MemberPattern::Kind::identity && is_literal(row.pattern)) {
      const auto [place, added] = parts.literal_members.emplace(row.pattern, *group);
      if (!added) place->second = std::min(place->second, *group);
    } else {
      parts.members.push_back(std::move(*member));
    }
  }
  std::stable_sort(parts.members.begin(), parts.members.end(),
                   [](const MemberPattern& a, const MemberPattern& b) { return a.group < b.group; });
}

}  // namespace gatehouse::policy
