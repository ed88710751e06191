#include "gateway/cli/policy/policy_verbs.hpp"

#include "db/policy/policy_copy.hpp"
#include "db/policy/policy_database.hpp"
#include "gateway/base/utc_time.hpp"
#include "gateway/cli/policy/cell_json.hpp"
#include "gateway/cli/policy/list_lookup.hpp"
#include "gateway/cli/render.hpp"
#include "gateway/policy/unbound_limits.hpp"
#include "policy/compile.hpp"
#include "policy/explain.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <ostream>
#include <stdexcept>

namespace gatehouse {
namespace {

using Json = nlohmann::ordered_json;

std::string to_text(const db::Cell& cell) {
  if (const auto* const number = std::get_if<std::int64_t>(&cell)) return std::to_string(*number);
  if (const auto* const text = std::get_if<std::string>(&cell)) return printable(*text);
  return "NULL";
}

void print_table(std::ostream& out, const std::string& name, const db::TableRows& table) {
  std::vector<std::vector<std::string>> lines{table.columns};
  for (const auto& row : table.rows) {
    auto& line = lines.emplace_back();
    for (const auto& cell : row) line.push_back(to_text(cell));
  }
  out << name << '\n' << text_table(lines);
}

Json to_json(const policy::Problem& problem) {
  return {{"table", problem.table},
          {"row", problem.row},
          {"sentence", problem.sentence},
          {"denies", problem.is_deny},
          {"in_force", problem.in_force}};
}

/// The starter policy must not replace rows that somebody wrote.
/// @throws std::runtime_error
void must_not_replace_a_policy(const std::filesystem::path& database) {
  const std::filesystem::path copy = db::last_good_path(database);
  if (!std::filesystem::exists(database) && std::filesystem::exists(copy))
    throw std::runtime_error(database.string() + " is gone, and " + copy.string() +
                             " has the last good policy: copy that to its place, or delete it for the starter policy");
}

}  // namespace

int policy_init_verb(const Invocation& invocation, const NoArguments&) {
  std::ostream& out = invocation.out;
  const std::filesystem::path database = policy_db(invocation);
  must_not_replace_a_policy(database);
  if (database.has_parent_path()) std::filesystem::create_directories(database.parent_path());
  const db::PolicySchema done = db::prepare_policy(database);
  if (invocation.json) {
    Json body{{"path", database.string()}, {"created", done.created}, {"from", done.from}, {"to", done.to}};
    if (!done.backup.empty()) body["backup"] = done.backup.string();
    print_json(out, body);
  } else if (done.created) {
    out << database.string() << ": made, with the starter policy\n";
  } else if (done.from != done.to) {
    out << database.string() << ": brought from schema version " << done.from << " to " << done.to
        << "; the old one is " << done.backup.string() << '\n';
  } else {
    out << database.string() << ": is there, schema version " << done.to << '\n';
  }
  return kExitYes;
}

int policy_show_verb(const Invocation& invocation, const ShowArguments& arguments) {
  const std::string& table = arguments.table;
  const std::filesystem::path database = policy_db(invocation);
  const auto tables = db::policy_tables();
  if (!table.empty() && std::find(tables.begin(), tables.end(), table) == tables.end())
    throw std::runtime_error("there is no table `" + table + "`: `gatehouse policy show` shows them all");
  db::PolicyDatabase file(database);
  Json body = Json::object();
  for (const std::string_view name : tables) {
    if (!table.empty() && name != table) continue;
    const db::TableRows rows = file.read_table(name);
    if (!invocation.json && (!rows.rows.empty() || !table.empty()))
      print_table(invocation.out, std::string(name), rows);
    Json& list = body[std::string(name)] = Json::array();
    for (const auto& row : rows.rows) {
      Json& one = list.emplace_back(Json::object());
      for (std::size_t i = 0; i < row.size(); ++i) one[rows.columns[i]] = cell_json(row[i]);
    }
  }
  if (invocation.json) print_json(invocation.out, body);
  return kExitYes;
}

int policy_problems_verb(const Invocation& invocation, const NoArguments&) {
  std::ostream& out = invocation.out;
  const std::filesystem::path database = policy_db(invocation);
  const policy::Model model = db::PolicyDatabase(database).load();
  const Config config = load_config_or_defaults(invocation);
  const policy::Surroundings around{.nat64 = config.nat64_prefixes};
  const policy::Compiled compiled = policy::compile(model, around, 1, unix_now(), lists_about(database, model, ""));
  std::vector<std::string> notes;
  for (const auto& [name, plugin] : config.plugins)
    for (std::string& sentence : unbound_limits(*compiled.snapshot, plugin)) notes.push_back(std::move(sentence));
  if (invocation.json) {
    Json body{{"degraded", compiled.degraded}, {"problems", Json::array()}, {"notes", notes}};
    for (const policy::Problem& problem : compiled.problems) body["problems"].push_back(to_json(problem));
    print_json(out, body);
  } else {
    for (const policy::Problem& problem : compiled.problems)
      out << problem.table << ' ' << problem.row << ": " << printable(problem.sentence)
          << (problem.is_deny ? " (what it denies is not denied)" : "") << '\n';
    if (compiled.problems.empty()) out << "every row is in force\n";
    for (const std::string& note : notes) out << "look at: " << printable(note) << '\n';
  }
  return compiled.problems.empty() ? kExitYes : kExitNo;
}

int policy_order_verb(const Invocation& invocation, const NoArguments&) {
  if (invocation.json)
    print_json(invocation.out, {{"order", policy::order_text()}});
  else
    invocation.out << policy::order_text();
  return kExitYes;
}

}  // namespace gatehouse
