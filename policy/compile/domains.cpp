#include "policy/compile/tables.hpp"
#include "policy/match/ascii_domain.hpp"

#include <gatehouse/base/address.hpp>

namespace gatehouse::policy {
namespace {

/// The reason why `text`, which ascii_domain() has refused for `error`, is no domain.
void refuse_domain(std::string_view text, const Error& error, const RowAt& at, Draft& draft) {
  if (error == Errc::unsupported)
    draft.problem(at, Fault::domain_letters, {text});
  else if (error == Errc::oversize)
    draft.problem(at, Fault::domain_too_long, {text});
  else
    draft.problem(at, Fault::domain_unreadable, {text});
}

/// The row's name as DNS carries it; none, and a problem, for what cannot be a host's name: such a row would never
/// match.
std::optional<std::string> read_name(std::string_view text, const RowAt& at, Draft& draft) {
  const std::string_view behind_dot = text.substr(text.find('.') + 1);
  Result<std::string> name = ascii_domain(text);
  const std::size_t foreign = name ? foreign_character(*name) : std::string::npos;
  if ((text.starts_with("*.") || text.starts_with('.')) && ascii_domain(behind_dot))
    draft.problem(at, Fault::domain_wildcard, {text, behind_dot});
  else if (IpAddress::parse(text))
    draft.problem(at, Fault::domain_address, {text});
  else if (!name)
    refuse_domain(text, name.error(), at, draft);
  else if (foreign == name->npos)
    return std::move(*name);
  else if ((*name)[foreign] == '*')
    draft.problem(at, Fault::domain_pattern, {text});
  else
    draft.problem(at, Fault::domain_character, {text, std::string_view(*name).substr(foreign, 1)});
  return {};
}

/// The action of a row for names; none, and a problem, where the row has no valid one.
struct NameUse {
  DomainAction action = DomainAction::block;
  bool exact = false;
};
template <class Row>
std::optional<NameUse> read_use(const Row& row, const RowAt& at, Draft& draft) {
  const NameUse out{row.action == "block"   ? DomainAction::block
                    : row.action == "allow" ? DomainAction::allow
                                            : DomainAction::monitor,
                    row.match == "exact"};
  if (!out.exact && row.match != "suffix") {
    draft.problem(at, Fault::domain_match, {row.match});
  } else if (out.action == DomainAction::monitor && row.action != "monitor") {
    draft.problem(at, Fault::domain_action, {row.action});
  } else {
    draft.parts.has_side_rows = draft.parts.has_side_rows || out.action != DomainAction::block;
    return out;
  }
  return {};
}

bool is_deny(std::string_view action) noexcept { return action != "allow" && action != "monitor"; }

/// The names of a list; nullptr, and a problem, where there are none to judge with.
const ListFileState* names_of_list(const DomainList& row, const Lists& lists, const RowAt& at, Draft& draft) {
  const auto file = lists.by_file.find(row.file);
  if (row.file.empty())
    draft.problem(at, Fault::list_empty, {row.name});
  else if (file != lists.by_file.end() && file->second.names)
    return &file->second;
  else if (file != lists.by_file.end() && !file->second.failure.empty())
    draft.problem(at, Fault::list_unreadable, {file->second.failure});
  else
    draft.problem(at, Fault::list_gone, {row.file});
  return nullptr;
}

}  // namespace

void compile_domain_rules(const Model& model, Draft& draft) {
  for (const DomainRule& row : model.domain_rules) {
    if (!draft.counts(row.life)) continue;
    const RowAt at{"domain_rules", row.id, is_deny(row.action)};
    NameRules* const names = draft.names_of(row.group_id, at);
    if (!names) continue;
    const auto name = read_name(row.domain, at, draft);
    if (!name) continue;
    if (const auto use = read_use(row, at, draft)) names->rows.add(*name, {use->action, use->exact, row.id});
  }
}

void compile_domain_lists(const Model& model, const Lists& lists, Draft& draft) {
  for (const DomainList& row : model.domain_lists) {
    if (!draft.counts(row.life)) continue;
    const RowAt at{"domain_lists", row.id, is_deny(row.action)};
    NameRules* const names = draft.names_of(row.group_id, at);
    if (!names) continue;
    const auto use = read_use(row, at, draft);
    if (!use) continue;
    const ListFileState* const file = names_of_list(row, lists, at, draft);
    if (!file) continue;
    names->lists.push_back({file->names, use->action, use->exact, row.id, file->mismatches});
    names->lists_decide = names->lists_decide || use->action != DomainAction::monitor;
  }
}

}  // namespace gatehouse::policy
