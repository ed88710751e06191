#include "policy/compile.hpp"

#include "policy/compile/tables.hpp"

namespace gatehouse::policy {

Compiled compile(const Model& model, const Surroundings& surroundings, std::uint64_t generation, std::int64_t now,
                 const Lists& lists) {
  Draft draft(lists.seed, now);
  draft.parts.own = OwnPlaces(surroundings);
  draft.parts.nat64 = Nat64Prefixes(surroundings.nat64);
  compile_groups(model, draft);
  compile_group_members(model, draft);
  compile_credentials(model, draft);
  compile_admissions(model, draft);
  compile_domain_rules(model, draft);
  compile_domain_lists(model, lists, draft);
  compile_port_permits(model, surroundings, draft);
  compile_traffic_rules(model, draft);
  compile_settings(model, draft);
  return draft.finish(generation);
}

}  // namespace gatehouse::policy
