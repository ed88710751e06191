#include "gateway/cli/policy/edit/row_edit.hpp"

#include "gateway/cli/policy/edit/duration.hpp"
#include "gateway/cli/render.hpp"

#include <nlohmann/json.hpp>

#include <ostream>
#include <stdexcept>

namespace gatehouse {
namespace {

using Json = nlohmann::ordered_json;

void bind_all(db::Statement& statement, const RowValues& values) {
  int at = 1;
  for (const auto& [name, value] : values) statement.bind_value(at++, value);
}

std::int64_t last_change(db::Database& database) { return database.number("SELECT coalesce(max(id), 0) FROM changes"); }

std::int64_t insert(db::Database& database, const std::string& table, const RowValues& values) {
  std::string names, places;
  for (const auto& [name, value] : values) {
    names += (names.empty() ? "\"" : ", \"") + name + '"';
    places += places.empty() ? "?" : ", ?";
  }
  auto statement = database.prepare("INSERT INTO " + table + " (" + names + ") VALUES (" + places + ") RETURNING id");
  bind_all(statement, values);
  if (!statement.step()) throw std::runtime_error("the row was not inserted");
  const std::int64_t row = statement.integer(0);
  static_cast<void>(statement.step());  // to its end
  return row;
}

/// Puts the row in force again, until `end`. One that has no end stays without one.
EditedRow renew(db::Database& database, const std::string& table, const ExistingRow& existing,
                std::optional<std::int64_t> end, const std::string& comment) {
  const bool in_force = existing.life.counts_at(unix_now());
  RowValues sets;
  if (!in_force) sets.emplace_back("enabled", std::int64_t{1});
  if (!in_force || (existing.life.expires_at && existing.life.expires_at != end))
    sets.emplace_back("expires_at", cell_of(end));
  if (!comment.empty()) sets.emplace_back("comment", comment);
  if (sets.empty()) return {existing.id, "unchanged", existing.life.expires_at};
  std::string text;
  for (const auto& [name, value] : sets) text += (text.empty() ? "" : ", ") + name + " = ?";
  sets.emplace_back("id", existing.id);
  const std::int64_t before = last_change(database);
  auto statement = database.prepare("UPDATE " + table + " SET " + text + " WHERE id = ?");
  bind_all(statement, sets);
  static_cast<void>(statement.step());
  const bool moved = last_change(database) != before;
  return {existing.id, moved ? "updated" : "unchanged", in_force && !existing.life.expires_at ? std::nullopt : end};
}

}  // namespace

GroupId find_group(const policy::Model& rows, const std::string& name_or_id) {
  if (name_or_id.empty()) return {};
  for (const policy::Group& group : rows.groups)
    if (group.name == name_or_id || std::to_string(group.id) == name_or_id) return group.id;
  throw std::runtime_error("there is no group `" + name_or_id + "`: see `gatehouse policy show groups`");
}

std::string for_whom(const RowArguments& arguments) {
  return arguments.group.empty() ? "for all clients" : "for group " + arguments.group;
}

void must_compile(policy::Model rows) {
  rows.groups.push_back({0, "everyone", 0, true});
  const auto compiled = policy::compile(rows, {}, 1, 0);
  if (!compiled.problems.empty()) throw std::runtime_error(compiled.problems[0].sentence);
}

db::Cell cell_of(std::optional<std::int64_t> number) { return number ? db::Cell(*number) : db::Cell(); }

EditedRow put_row(db::PolicyEditor& editor, const std::string& table, const std::optional<ExistingRow>& existing,
                  RowValues values, const RowArguments& arguments) {
  const auto end = end_after(arguments.duration);
  if (existing) return renew(editor.database(), table, *existing, end, arguments.comment);
  values.emplace_back("expires_at", cell_of(end));
  values.emplace_back("comment", arguments.comment);
  return {insert(editor.database(), table, values), "inserted", end};
}

void print_report(const Invocation& invocation, const EditReport& report) {
  std::ostream& out = invocation.out;
  const EditedRow& row = report.row;
  if (invocation.json) {
    Json body{{"table", report.table}, {"row", row.id}, {"done", row.done}};
    body["expires_at"] = row.expires_at ? Json(rfc3339(*row.expires_at)) : Json();
    if (!report.deleted.empty()) body["deleted"] = report.deleted;
    if (!report.note.empty()) body["note"] = report.note;
    return print_json(out, body);
  }
  const bool changed = row.done != "unchanged" || !report.deleted.empty();
  for (const std::int64_t id : report.deleted)
    out << report.table << ' ' << id << ", which said otherwise, is deleted.\n";
  out << report.table << ' ' << row.id << ": " << printable(report.effect)
      << (row.expires_at ? ", until " + utc_text(*row.expires_at) : "")
      << (changed ? ". A running gateway has it within a second.\n" : " already: nothing to do.\n");
  if (!report.note.empty()) out << printable(report.note) << '\n';
}

}  // namespace gatehouse
