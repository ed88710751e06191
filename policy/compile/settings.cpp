#include "policy/compile/tables.hpp"

namespace gatehouse::policy {

void compile_settings(const Model& model, Draft& draft) {
  for (const Setting& row : model.settings) {
    if (row.name != "default_action") {
      draft.problem({"settings", row.id}, Fault::setting_name, {row.name});
    } else if (row.value != "allow" && row.value != "deny") {
      draft.problem({"settings", row.id, true}, Fault::default_action_value, {row.value});
    } else {
      draft.parts.default_action = row.value == "allow" ? Action::allow : Action::deny;
      draft.parts.default_row = row.id;
    }
  }
}

}  // namespace gatehouse::policy
