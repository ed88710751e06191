#include "policy/compile/tables.hpp"

#include <algorithm>
#include <tuple>

namespace gatehouse::policy {

void compile_admissions(const Model& model, Draft& draft) {
  std::vector<const Admission*> order;
  for (const Admission& row : model.admissions) {
    if (!draft.counts(row.life)) continue;
    const RowAt at{"admissions", row.id, row.action != "allow"};
    if (row.action != "allow" && row.action != "deny") {
      draft.problem(at, Fault::admission_action, {row.action});
    } else if (!row.group_id || draft.group(*row.group_id, at)) {
      order.push_back(&row);
    }
  }
  std::sort(order.begin(), order.end(), [](const Admission* a, const Admission* b) {
    return std::tie(a->priority, a->id) < std::tie(b->priority, b->id);
  });
  for (const Admission* row : order) {
    std::optional<GroupIndex> group;
    if (row->group_id) group = draft.group(*row->group_id, {"admissions", row->id});
    draft.parts.admissions.add({row->id, group, row->plugin, row->listener, row->action == "allow"});
  }
}

}  // namespace gatehouse::policy
