#include "policy/compile/cidr.hpp"
#include "policy/compile/tables.hpp"
#include "policy/match/glob.hpp"

#include <algorithm>
#include <tuple>

namespace gatehouse::policy {
namespace {

void add_member(const GroupMember& row, GroupIndex group, Draft& draft) {
  using Kind = GroupMembers::Kind;
  GroupMembers& members = draft.parts.members;
  const RowAt at{"group_members", row.id};
  if (row.kind == "identity") {
    if (is_literal(row.pattern) && row.pattern.find(':') == row.pattern.npos)
      draft.problem({at.table, at.id, false, true}, Fault::member_without_kind,
                    {row.pattern, row.pattern, row.pattern, row.pattern, row.pattern});
    members.add(group, Kind::identity, row.pattern);
  } else if (row.kind == "listener") {
    members.add(group, Kind::listener, row.pattern);
  } else if (row.kind == "plugin") {
    members.add(group, Kind::plugin, row.pattern);
  } else if (row.kind != "source") {
    draft.problem(at, Fault::member_kind, {row.kind});
  } else if (const auto source = read_cidr(row.pattern, at, draft)) {
    members.add(group, *source);
  }
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
  for (const GroupMember& row : model.group_members) {
    if (!draft.counts(row.life)) continue;
    const auto group = draft.group(row.group_id, {"group_members", row.id});
    if (group && row.group_id != 0) add_member(row, *group, draft);
  }
  draft.parts.members.finish();
}

}  // namespace gatehouse::policy
