#include "gateway/cli/policy/edit/name_verbs.hpp"

#include "db/policy/policy_database.hpp"
#include "gateway/cli/policy/edit/editor_name.hpp"
#include "gateway/cli/render.hpp"
#include "policy/match/ascii_domain.hpp"

#include <nlohmann/json.hpp>

#include <ostream>

namespace gatehouse {
namespace {

using Json = nlohmann::ordered_json;
using policy::DomainRule;

/// A row's name in the form that the compiler compares.
std::string canonical(const std::string& domain) {
  const auto name = policy::ascii_domain(domain);
  return name ? *name : domain;
}

/// @throws std::runtime_error with the compiler's sentence
std::string canonical_name(const NameArguments& arguments) {
  policy::Model rows;
  rows.domain_rules.push_back({1, {}, arguments.name, "suffix", "block", {}});
  must_compile(std::move(rows));
  return canonical(arguments.name);
}

/// The rows of that group with that action and name.
template <class Use>
void each_row(const policy::Model& rows, GroupId group, std::string_view action, const std::string& name, Use use) {
  for (const DomainRule& row : rows.domain_rules)
    if (row.action == action && row.group_id == group && canonical(row.domain) == name) use(row);
}

void delete_rows(db::PolicyEditor& editor, const std::vector<std::int64_t>& rows) {
  auto statement = editor.database().prepare("DELETE FROM domain_rules WHERE id = ?1");
  for (const std::int64_t row : rows) {
    statement.reset();
    statement.bind(1, row);
    static_cast<void>(statement.step());
  }
}

std::string match_of(const NameArguments& arguments) { return arguments.exact ? "exact" : "suffix"; }

EditedRow put_name(db::PolicyEditor& editor, const policy::Model& rows, GroupId group, const std::string& action,
                   const std::string& name, const NameArguments& arguments) {
  const std::string match = match_of(arguments);
  const auto existing = find_existing(rows.domain_rules, [&](const DomainRule& row) {
    return row.action == action && row.match == match && row.group_id == group && canonical(row.domain) == name;
  });
  return put_row(editor, "domain_rules", existing,
                 {{"group_id", cell_of(group)}, {"domain", name}, {"match", match}, {"action", action}}, arguments);
}

/// What unblocking did, and what still blocks the name.
struct Unblocked {
  std::string name;
  std::vector<std::int64_t> deleted;
  std::optional<EditedRow> allowed;           ///< the row that allows it, where a list blocks it
  std::string list;                           ///< that list: "the list ads (domain_lists 1)"
  std::optional<policy::Verdict> blocked_by;  ///< the verdict, where it is still blocked
  std::string blocker;                        ///< what blocks it, in words
  std::string allow;                          ///< the row that would help, in SQL
};

std::string list_text(const policy::DomainList& list) {
  return "the list " + list.name + " (domain_lists " + std::to_string(list.id) + ')';
}

/// What blocks a name.
struct Blocker {
  std::string words;  ///< "domain_rules 3, which blocks ads.example"
  GroupId group;      ///< the row's
};

Blocker blocker_of(const CurrentPolicy& current, const policy::Verdict& verdict) {
  if (const policy::DomainList* const list = current.list_of(verdict)) return {list_text(*list), list->group_id};
  for (const DomainRule& row : current.rows().domain_rules)
    if (verdict.table == policy::Table::domain_rules && row.id == verdict.row)
      return {"domain_rules " + std::to_string(row.id) + ", which blocks " + row.domain +
                  (row.match == "exact" ? "" : " and all names below it") + (row.group_id ? "" : " for all clients"),
              row.group_id};
  return {std::string(to_text(verdict.table)) + ' ' + std::to_string(verdict.row), {}};
}

/// An allow row counts against a group's own row or list only when it is the group's too.
GroupId group_that_helps(GroupId asked, GroupId of_blocker) { return of_blocker ? of_blocker : asked; }

/// @param name  as canonical_name() gives it: no host's name has a quote
std::string allow_row(GroupId group, const std::string& name) {
  const std::string id = group ? std::to_string(*group) : "NULL";
  return "INSERT INTO domain_rules (group_id, domain, action) VALUES (" + id + ", '" + name + "', 'allow');";
}

Unblocked unblock(const std::filesystem::path& database, const NameArguments& arguments) {
  Unblocked out;
  out.name = canonical_name(arguments);
  db::PolicyEditor editor(database, editor_name());
  policy::Model rows = editor.load();
  const GroupId group = find_group(rows, arguments.group);
  each_row(rows, group, "block", out.name, [&](const DomainRule& row) { out.deleted.push_back(row.id); });
  delete_rows(editor, out.deleted);

  CurrentPolicy current(editor.load(), database, out.name);
  out.blocked_by = current.block_of(group);
  if (out.blocked_by)
    if (const policy::DomainList* const list = current.list_of(*out.blocked_by)) {
      out.list = list_text(*list);
      NameArguments allow;
      allow.comment = "past " + out.list;
      out.allowed = put_name(editor, current.rows(), group_that_helps(group, list->group_id), "allow", out.name, allow);
      current = CurrentPolicy(editor.load(), database, out.name);
      out.blocked_by = current.block_of(group);
    }
  if (out.blocked_by) {
    const Blocker blocker = blocker_of(current, *out.blocked_by);
    out.blocker = blocker.words;
    out.allow = allow_row(group_that_helps(group, blocker.group), out.name);
  }
  if (!out.deleted.empty() || out.allowed) editor.commit();
  return out;
}

Json to_json(const Unblocked& done) {
  Json body{{"name", done.name}, {"deleted", done.deleted}, {"blocked", done.blocked_by.has_value()}};
  if (done.allowed) body["allowed"] = {{"row", done.allowed->id}, {"done", done.allowed->done}, {"past", done.list}};
  if (done.blocked_by) {
    body["by"] = {{"table", to_text(done.blocked_by->table)}, {"row", done.blocked_by->row}};
    body["allow"] = done.allow;
  }
  return body;
}

void print(std::ostream& out, const Unblocked& done, const NameArguments& arguments) {
  for (const std::int64_t row : done.deleted) out << "domain_rules " << row << " is deleted.\n";
  if (done.allowed)
    out << "domain_rules " << done.allowed->id << ": " << printable(done.name) << " and all names below it are allowed "
        << printable(for_whom(arguments)) << ", past " << printable(done.list) << ".\n";
  const std::string name = printable(done.name);
  if (done.blocked_by)
    out << name << " is still blocked, by " << printable(done.blocker)
        << ". An allow row of its own would let it through:\n  " << printable(done.allow) << '\n';
  else if (done.deleted.empty() && !done.allowed)
    out << name << " is not blocked " << printable(for_whom(arguments)) << ": nothing to do.\n";
  else
    out << name << " is blocked no longer. A running gateway has it within a second.\n";
}

}  // namespace

int policy_block_verb(const Invocation& invocation, const NameArguments& arguments) {
  const std::filesystem::path database = policy_db(invocation);
  const std::string name = canonical_name(arguments);
  const std::string match = match_of(arguments);
  EditReport report{
      "domain_rules",
      {},
      name + (arguments.exact ? " is blocked " : " and all names below it are blocked ") + for_whom(arguments)};
  GroupId group;
  {
    db::PolicyEditor editor(database, editor_name());
    const policy::Model rows = editor.load();
    group = find_group(rows, arguments.group);
    if (arguments.duration.empty())
      each_row(rows, group, "allow", name, [&](const DomainRule& row) {
        if (row.match == match) report.deleted.push_back(row.id);
      });
    report.row = put_name(editor, rows, group, "block", name, arguments);
    delete_rows(editor, report.deleted);  // last: SQLite gives a deleted row's id away
    editor.commit();
  }
  if (!CurrentPolicy(db::PolicyDatabase(database).load(), database, name).block_of(group))
    report.note =
        "But an allow row, or the group's being disabled, keeps it from having an effect: see `gatehouse "
        "policy show domain_rules`.";
  print_report(invocation, report);
  return kExitYes;
}

int policy_unblock_verb(const Invocation& invocation, const NameArguments& arguments) {
  const Unblocked done = unblock(policy_db(invocation), arguments);
  if (invocation.json)
    print_json(invocation.out, to_json(done));
  else
    print(invocation.out, done, arguments);
  return done.blocked_by ? kExitNo : kExitYes;
}

}  // namespace gatehouse
