// One function a table: reads its rows into a draft and reports each row that it leaves out, and why. For compile()
// only, which calls them in the order written here: groups come first, since the others name them.
#pragma once

#include "policy/compile/draft.hpp"

namespace gatehouse::policy {

void compile_groups(const Model& model, Draft& draft);
void compile_group_members(const Model& model, Draft& draft);
void compile_credentials(const Model& model, Draft& draft);
void compile_admissions(const Model& model, Draft& draft);
void compile_domain_rules(const Model& model, Draft& draft);
void compile_domain_lists(const Model& model, const Lists& lists, Draft& draft);
/// Also cuts the ranges of addresses, and needs parts.own for that.
void compile_port_permits(const Model& model, const Surroundings& surroundings, Draft& draft);
void compile_traffic_rules(const Model& model, Draft& draft);
void compile_settings(const Model& model, Draft& draft);

}  // namespace gatehouse::policy
