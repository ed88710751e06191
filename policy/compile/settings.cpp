#include "policy/compile/sentences.hpp"
#include "policy/compile/tables.hpp"

namespace gatehouse::policy {

void compile_settings(const Model& model, Draft& draft) {
  for (const Setting& row : model.settings) {
    if (row.name != "default_action") {
      draft.problem({"settings", row.id}, quoted(row.name) + " is no setting: there is default_action");
    } else if (row.value != "allow" && row.value != "deny") {
      draft.problem({"settings", row.id, true}, quoted(row.value) + " is no default_action: write deny or allow");
    } else {
      draft.parts.default_action = row.value == "allow" ? Action::allow : Action::deny;
      draft.parts.default_row = row.id;
    }
  }
}

}  // namespace gatehouse::policy
