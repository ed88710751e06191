#include "policy/compile/sentences.hpp"
#include "policy/compile/tables.hpp"
#include "policy/match/ascii_domain.hpp"

namespace gatehouse::policy {
namespace {

/// Of a text that is block, allow or monitor.
DomainAction action_of(std::string_view text) noexcept {
  return text == "block" ? DomainAction::block : text == "allow" ? DomainAction::allow : DomainAction::monitor;
}

/// Why there is nothing to judge with; "" where there is.
std::string list_sentence(const DomainList& row, const ListFileState* file) {
  if (row.file.empty()) return "the list has no names yet: `gatehouse policy import " + row.name + " FILE` fills it";
  if (file && file->names) return {};
  if (file && !file->failure.empty()) return file->failure;
  return "the file " + quoted(row.file) + " is not in lists/: import the list again";
}

}  // namespace

void compile_domain_rules(const Model& model, Draft& draft) {
  for (const DomainRule& row : model.domain_rules) {
    if (!draft.counts(row.life)) continue;
    const RowAt at{"domain_rules", row.id, row.action != "allow" && row.action != "monitor"};
    NameRules* const names = draft.names_of(row.group_id, at);
    if (!names) continue;
    const auto name = ascii_domain(row.domain);
    if (!name || row.domain.starts_with("*.")) {
      draft.problem(at, domain_sentence(row.domain));
    } else if (row.match != "suffix" && row.match != "exact") {
      draft.problem(at, quoted(row.match) + " is no match: write suffix or exact");
    } else if (at.is_deny && row.action != "block") {
      draft.problem(at, quoted(row.action) + " is no action: write block, allow or monitor");
    } else {
      const DomainAction action = action_of(row.action);
      names->rows.add(*name, {action, row.match == "exact", row.id});
      draft.parts.has_monitors = draft.parts.has_monitors || action == DomainAction::monitor;
    }
  }
}

void compile_domain_lists(const Model& model, const Lists& lists, Draft& draft) {
  for (const DomainList& row : model.domain_lists) {
    if (!draft.counts(row.life)) continue;
    const RowAt at{"domain_lists", row.id, row.action == "block"};
    NameRules* const names = draft.names_of(row.group_id, at);
    if (!names) continue;
    const auto found = lists.by_file.find(row.file);
    const ListFileState* const file = found == lists.by_file.end() ? nullptr : &found->second;
    if (std::string why = list_sentence(row, file); !why.empty()) {
      draft.problem(at, std::move(why));
      continue;
    }
    const DomainAction action = action_of(row.action);
    names->lists.push_back({file->names, action, row.match == "exact", row.id, file->mismatches});
    names->lists_decide = names->lists_decide || action != DomainAction::monitor;
    draft.parts.has_monitors = draft.parts.has_monitors || action == DomainAction::monitor;
  }
}

}  // namespace gatehouse::policy
