#include "gateway/cli/edit_verbs.hpp"

#include "db/policy_database.hpp"
#include "db/policy_editor.hpp"
#include "gateway/base/utc_time.hpp"
#include "gateway/cli/editing.hpp"
#include "gateway/cli/invocation.hpp"
#include "gateway/cli/render.hpp"
#include "policy/compile.hpp"
#include "policy/match/port_set.hpp"

#include <gatehouse/base/domain.hpp>
#include <gatehouse/base/prefix.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <ostream>
#include <stdexcept>
#include <vector>

namespace gatehouse {
namespace {

using Json = nlohmann::ordered_json;
using policy::Model;

constexpr std::int64_t kDenyPriority = 50, kPermitPriority = 100;
constexpr const char* kSomewherePublic = "9.9.9.9";  // only judged, never sent to

/// A row's group: NULL for all clients.
struct GroupRef {
  std::optional<std::int64_t> id;
  [[nodiscard]] db::Cell cell() const { return id ? db::Cell(*id) : db::Cell(); }
};

/// @throws std::runtime_error when there is no such group
GroupRef find_group(const Model& model, const std::string& text) {
  if (text.empty()) return {};
  for (const policy::Group& group : model.groups)
    if (group.name == text || std::to_string(group.id) == text) return {group.id};
  throw std::runtime_error("there is no group `" + text + "`: see `gatehouse policy show groups`");
}

std::string for_whom(const RowOrder& order) {
  return order.group.empty() ? "for all clients" : "for group " + order.group;
}

/// Judges rows as the gateway will, without the rest of the policy. @throws std::runtime_error with its sentence
void must_compile(Model rows) {
  rows.groups.push_back({0, "everyone", 0, true});
  const auto compiled = policy::compile(rows, {}, 1, 0);
  if (!compiled.problems.empty()) throw std::runtime_error(compiled.problems[0].sentence);
}

std::string canonical(const std::string& name) {
  const auto out = canonical_domain(name);
  return out ? *out : name;
}

/// What the order came to.
struct Placed {
  std::int64_t row = 0;
  std::string_view what = "inserted";  ///< inserted, updated, unchanged
  std::optional<std::int64_t> expires_at;
};

using Values = std::vector<std::pair<std::string, db::Cell>>;

void bind_all(db::Statement& statement, const Values& values) {
  int at = 1;
  for (const auto& [name, value] : values) statement.bind_value(at++, value);
}

/// A row that says the same already, whether it counts at the moment or not.
struct Twin {
  std::int64_t id = 0;
  policy::Life life;
};

/// Inserts the row, or renews the one that says the same.
Placed place(db::Database& database, const std::string& table, const std::optional<Twin>& twin, Values values,
             const RowOrder& order) {
  const std::int64_t now = unix_now();
  const auto end = end_after(order.lasts);
  const db::Cell end_cell = end ? db::Cell(*end) : db::Cell();
  if (!twin) {
    values.emplace_back("expires_at", end_cell);
    values.emplace_back("comment", order.comment);
    std::string names, places;
    for (const auto& [name, value] : values) {
      names += (names.empty() ? "\"" : ", \"") + name + '"';
      places += places.empty() ? "?" : ", ?";
    }
    auto insert = database.prepare("INSERT INTO " + table + " (" + names + ") VALUES (" + places + ") RETURNING id");
    bind_all(insert, values);
    if (!insert.step()) throw std::runtime_error("the row was not inserted");
    const std::int64_t row = insert.integer(0);
    static_cast<void>(insert.step());  // to its end
    return {row, "inserted", end};
  }
  Values sets;
  const bool in_force = twin->life.counts_at(now);
  if (!in_force) sets.emplace_back("enabled", std::int64_t{1});
  if (!in_force || (twin->life.expires_at && twin->life.expires_at != end)) sets.emplace_back("expires_at", end_cell);
  if (!order.comment.empty()) sets.emplace_back("comment", order.comment);
  if (sets.empty()) return {twin->id, "unchanged", twin->life.expires_at};
  std::string text;
  for (const auto& [name, value] : sets) text += (text.empty() ? "" : ", ") + name + " = ?";
  sets.emplace_back("id", twin->id);
  const std::int64_t before = database.number("SELECT coalesce(max(id), 0) FROM changes");
  auto update = database.prepare("UPDATE " + table + " SET " + text + " WHERE id = ?");
  bind_all(update, sets);
  static_cast<void>(update.step());
  const bool moved = database.number("SELECT coalesce(max(id), 0) FROM changes") != before;
  return {twin->id, moved ? "updated" : "unchanged", in_force && !twin->life.expires_at ? std::nullopt : end};
}

/// Prefers the twin that is in force.
template <class Rows, class Same>
std::optional<Twin> find_twin(const Rows& rows, Same same) {
  const std::int64_t now = unix_now();
  std::optional<Twin> out;
  for (const auto& row : rows)
    if (same(row) && (!out || (!out->life.counts_at(now) && row.life.counts_at(now)))) out = Twin{row.id, row.life};
  return out;
}

/// One sentence to each point, or the same as JSON.
struct Answer {
  std::string table;
  Placed placed;
  std::string what;  ///< "ads.example and all names below it are blocked for all clients"
  std::string note;  ///< "" or why that has no effect yet
};

void print(std::ostream& out, const Answer& answer, bool json) {
  const Placed& placed = answer.placed;
  if (json) {
    Json body{{"table", answer.table}, {"row", placed.row}, {"done", placed.what}};
    body["expires_at"] = placed.expires_at ? Json(rfc3339(*placed.expires_at)) : Json();
    if (!answer.note.empty()) body["note"] = answer.note;
    return print_json(out, body);
  }
  const bool changed = placed.what != "unchanged";
  out << answer.table << ' ' << placed.row << ": " << printable(answer.what)
      << (placed.expires_at ? ", until " + utc_text(*placed.expires_at) : "")
      << (changed ? ". A running gateway has it within a second.\n" : " already: nothing to do.\n");
  if (!answer.note.empty()) out << printable(answer.note) << '\n';
}

/// The policy as it is now, for asking what an edit came to.
class Judge {
 public:
  explicit Judge(const std::filesystem::path& database)
      : model_(db::PolicyDatabase(database).load()), compiled_(policy::compile(model_, {}, 1, unix_now())) {}

  [[nodiscard]] const Model& model() const noexcept { return model_; }

  /// A verdict for a client of that group; of `everyone` for a row that holds for all. Nothing: the group is disabled.
  [[nodiscard]] std::optional<policy::Verdict> ask(const GroupRef& group, const policy::Flow& flow) const {
    const auto& groups = compiled_.snapshot->parts().groups;
    for (std::size_t i = 0; i < groups.size(); ++i)
      if (groups[i].id == group.id.value_or(0))
        return compiled_.snapshot->judge(static_cast<policy::GroupIndex>(i), false, flow);
    return {};
  }

  /// What blocks that name, if anything does.
  [[nodiscard]] std::optional<policy::Verdict> block_of(const GroupRef& group, const std::string& name) const {
    policy::Flow flow;
    flow.destination = IpAddress::parse(kSomewherePublic).value();
    flow.port = 443;
    flow.transport = policy::kTcp;
    flow.flags = policy::kFlowNamed;
    flow.domain = name;
    const auto verdict = ask(group, flow);
    if (!verdict || verdict->reason != policy::Reason::domain) return {};
    return verdict;
  }

 private:
  Model model_;
  policy::Compiled compiled_;
};

std::string row_name(const policy::Verdict& verdict) {
  return std::string(to_text(verdict.table)) + ' ' + std::to_string(verdict.row);
}

std::string name_sentence(const NameOrder& order, const std::string& name) {
  return name + (order.exact ? " is blocked " : " and all names below it are blocked ") + for_whom(order);
}

/// The row that would let the name through, in SQL.
std::string allow_row(const GroupRef& group, const std::string& name) {
  const std::string id = group.id ? std::to_string(*group.id) : "NULL";
  return "INSERT INTO domain_rules (group_id, domain, action) VALUES (" + id + ", '" + name + "', 'allow');";
}

/// What still blocks `name`, in words: a row of its own group, of a parent name, or a list.
std::string blocker(const Judge& judge, const policy::Verdict& verdict) {
  for (const policy::DomainRule& row : judge.model().domain_rules)
    if (verdict.table == policy::Table::domain_rules && row.id == verdict.row)
      return "domain_rules " + std::to_string(row.id) + ", which blocks " + row.domain +
             (row.match == "exact" ? "" : " and all names below it") + (row.group_id ? "" : " for all clients");
  for (const policy::DomainList& row : judge.model().domain_lists)
    if (verdict.table == policy::Table::domain_lists && row.id == verdict.row) return "the list " + row.name;
  return row_name(verdict);
}

std::string ports_text(const std::string& text) {
  std::string out;
  for (const policy::PortRange& range : policy::parse_ports(text).value()) {
    if (range == policy::kAllPorts) return "all";
    out += (out.empty() ? "" : ",") + std::to_string(range.first) +
           (range.first == range.last ? "" : '-' + std::to_string(range.last));
  }
  return out;
}

policy::PortPermit permit_row(const PermitOrder& order, const std::string& action) {
  policy::PortPermit row;
  row.transport = order.transport;
  row.ports = order.ports;
  if (!order.destination.empty()) row.destination = order.destination;
  row.action = action;
  row.priority = order.priority.value_or(action == "deny" ? kDenyPriority : kPermitPriority);
  Model rows;
  rows.port_permits.push_back(row);
  must_compile(std::move(rows));
  row.ports = ports_text(order.ports);
  if (row.destination) row.destination = Prefix::parse(*row.destination)->to_string();
  return row;
}

bool same_permit(const policy::PortPermit& row, const policy::PortPermit& wanted) {
  if (row.transport != wanted.transport || row.action != wanted.action || row.priority != wanted.priority ||
      row.group_id != wanted.group_id || row.destination.has_value() != wanted.destination.has_value())
    return false;
  if (row.destination) {
    const auto prefix = Prefix::parse(*row.destination);
    if (!prefix || prefix->to_string() != *wanted.destination) return false;
  }
  return policy::parse_ports(row.ports.value_or("all")) && ports_text(row.ports.value_or("all")) == *wanted.ports;
}

/// Why the permit that was asked for does not let its first flow through, or the deny does not stop it; "" when it
/// does.
std::string without_effect(const std::filesystem::path& database, const policy::PortPermit& row, std::int64_t id) {
  const Judge judge(database);
  policy::Flow flow;
  const IpAddress public_one = IpAddress::parse(kSomewherePublic).value();
  const auto prefix = row.destination ? Prefix::parse(*row.destination).value() : Prefix(public_one, 0);
  flow.destination = prefix.contains(public_one) ? public_one : prefix.address();
  flow.port = std::max<std::uint16_t>(policy::parse_ports(*row.ports)->front().first, 1);
  flow.transport = row.transport == "tcp" ? policy::kTcp : policy::kUdp;
  const auto verdict = judge.ask({row.group_id}, flow);
  if (!verdict) return "The group is disabled: its rows have no effect.";
  if (verdict->allowed() == (row.action == "allow")) return {};
  if (verdict->table == policy::Table::port_permits && verdict->row != id)
    return "But port_permits " + std::to_string(verdict->row) +
           " is judged earlier and says otherwise: a lower --priority puts this row before it.";
  const std::string_view transport = row.transport == "tcp" ? "tcp" : "udp";
  return "But it does not decide for all that it names: see `gatehouse policy explain " + std::string(transport) + ' ' +
         Endpoint{flow.destination, flow.port, 0}.to_string() + "`.";
}

int place_permit(const std::filesystem::path& database, const PermitOrder& order, const std::string& action,
                 std::ostream& out, bool json) {
  policy::PortPermit row = permit_row(order, action);
  Answer answer{"port_permits", {}, {}, {}};
  {
    db::PolicyEditor editor(database, editor_name());
    const Model model = editor.load();
    const GroupRef group = find_group(model, order.group);
    row.group_id = group.id;
    const auto twin = find_twin(model.port_permits, [&](const auto& other) { return same_permit(other, row); });
    answer.placed = place(editor.database(), "port_permits", twin,
                          {{"group_id", group.cell()},
                           {"transport", row.transport},
                           {"ports", *row.ports},
                           {"destination", row.destination ? db::Cell(*row.destination) : db::Cell()},
                           {"action", action},
                           {"priority", row.priority}},
                          order);
    editor.commit();
  }
  const std::string transport = row.transport == "any" ? "every transport" : row.transport;
  const std::string to = row.destination ? *row.destination : action == "allow" ? "any public address" : "any address";
  answer.what = transport + (row.ports == "all" ? ", all ports, to " : ", port " + *row.ports + ", to ") + to + " is " +
                (action == "allow" ? "permitted " : "denied ") + for_whom(order);
  answer.note = without_effect(database, row, answer.placed.row);
  print(out, answer, json);
  return kExitYes;
}

}  // namespace

int policy_block(const std::filesystem::path& database, const NameOrder& order, std::ostream& out, bool json) {
  const std::string match = order.exact ? "exact" : "suffix", name = canonical(order.name);
  Model rows;
  rows.domain_rules.push_back({1, {}, order.name, match, "block", {}});
  must_compile(std::move(rows));
  Answer answer{"domain_rules", {}, name_sentence(order, name), {}};
  GroupRef group;
  {
    db::PolicyEditor editor(database, editor_name());
    const Model model = editor.load();
    group = find_group(model, order.group);
    const auto twin = find_twin(model.domain_rules, [&](const policy::DomainRule& row) {
      return row.action == "block" && row.match == match && row.group_id == group.id && canonical(row.domain) == name;
    });
    answer.placed = place(editor.database(), "domain_rules", twin,
                          {{"group_id", group.cell()}, {"domain", name}, {"match", match}, {"action", "block"}}, order);
    editor.commit();
  }
  if (!Judge(database).block_of(group, name))
    answer.note =
        "But an allow row, or the group's being disabled, keeps it from having an effect: see `gatehouse "
        "policy show domain_rules`.";
  print(out, answer, json);
  return kExitYes;
}

int policy_unblock(const std::filesystem::path& database, const NameOrder& order, std::ostream& out, bool json) {
  const std::string name = canonical(order.name);
  Model rows;
  rows.domain_rules.push_back({1, {}, order.name, "suffix", "block", {}});
  must_compile(std::move(rows));
  std::vector<std::int64_t> deleted;
  GroupRef group;
  {
    db::PolicyEditor editor(database, editor_name());
    const Model model = editor.load();
    group = find_group(model, order.group);
    for (const policy::DomainRule& row : model.domain_rules)
      if (row.action == "block" && row.group_id == group.id && canonical(row.domain) == name) deleted.push_back(row.id);
    auto statement = editor.database().prepare("DELETE FROM domain_rules WHERE id = ?1");
    for (const std::int64_t id : deleted) {
      statement.reset();
      statement.bind(1, id);
      static_cast<void>(statement.step());
    }
    if (!deleted.empty()) editor.commit();
  }
  const Judge judge(database);
  const auto verdict = judge.block_of(group, name);
  if (json) {
    Json body{{"name", name}, {"deleted", deleted}, {"blocked", verdict.has_value()}};
    if (verdict) {
      body["by"] = {{"table", to_text(verdict->table)}, {"row", verdict->row}};
      body["allow"] = allow_row(group, name);
    }
    print_json(out, body);
    return verdict ? kExitNo : kExitYes;
  }
  for (const std::int64_t id : deleted) out << "domain_rules " << id << " is deleted.\n";
  if (verdict)
    out << printable(name) << " is still blocked, by " << printable(blocker(judge, *verdict))
        << ". An allow row of its own would let it through:\n  " << printable(allow_row(group, name)) << '\n';
  else if (deleted.empty())
    out << printable(name) << " is not blocked " << for_whom(order) << ": nothing to do.\n";
  else
    out << printable(name) << " is blocked no longer. A running gateway has it within a second.\n";
  return verdict ? kExitNo : kExitYes;
}

int policy_permit(const std::filesystem::path& database, const PermitOrder& order, std::ostream& out, bool json) {
  return place_permit(database, order, "allow", out, json);
}

int policy_deny(const std::filesystem::path& database, const PermitOrder& order, std::ostream& out, bool json) {
  return place_permit(database, order, "deny", out, json);
}

}  // namespace gatehouse
