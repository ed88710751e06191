#include "policy/compile/tables.hpp"
#include "policy/match/port_set.hpp"

namespace gatehouse::policy {
namespace {

void compile_default_action(const Setting& row, Draft& draft) {
  if (row.value != "allow" && row.value != "deny")
    return draft.problem({"settings", row.id, true}, Fault::default_action_value, {row.value});
  draft.parts.default_action = row.value == "allow" ? Action::allow : Action::deny;
  draft.parts.default_row = row.id;
}

void compile_dns_ports(const Setting& row, Draft& draft) {
  if (auto ports = parse_ports(row.value))
    draft.parts.dns_ports = std::move(*ports);
  else
    draft.problem({"settings", row.id, true}, Fault::dns_ports_value, {row.value});
}

void compile_judge_answers(const Setting& row, Draft& draft) {
  if (row.value != "0" && row.value != "1")
    return draft.problem({"settings", row.id, true}, Fault::judge_answers_value, {row.value});
  draft.parts.judge_answers = row.value == "1";
}

}  // namespace

void compile_settings(const Model& model, Draft& draft) {
  for (const Setting& row : model.settings) {
    if (row.name == "default_action")
      compile_default_action(row, draft);
    else if (row.name == "dns_ports")
      compile_dns_ports(row, draft);
    else if (row.name == "judge_answers")
      compile_judge_answers(row, draft);
    else
      draft.problem({"settings", row.id}, Fault::setting_name, {row.name});
  }
}

}  // namespace gatehouse::policy
