#include "gateway/cli/policy_verbs.hpp"

#include "db/lists/list_file.hpp"
#include "db/policy_database.hpp"
#include "gateway/policy/own_addresses.hpp"
#include "policy/compile.hpp"
#include "policy/explain.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <ctime>
#include <iomanip>
#include <ostream>
#include <sstream>

namespace gatehouse {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kYes = 0, kNo = 1, kWrong = 2;

std::int64_t unix_now() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

int wrong(std::ostream& err, const std::string& sentence) {
  err << "gatehouse: " << sentence << '\n';
  return kWrong;
}

/// Rows are written by many hands: nothing of them may drive the terminal.
std::string shown(const std::string& text) {
  std::ostringstream out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f)
      out << "\\x" << std::hex << std::setw(2) << std::setfill('0') << unsigned{byte};
    else
      out << c;
  }
  return out.str();
}

std::string dump(const Json& json) { return json.dump(2, ' ', false, Json::error_handler_t::replace) + '\n'; }

std::string to_text(const db::Cell& cell) {
  if (const auto* const number = std::get_if<std::int64_t>(&cell)) return std::to_string(*number);
  if (const auto* const text = std::get_if<std::string>(&cell)) return shown(*text);
  return "NULL";
}

Json to_json(const db::Cell& cell) {
  if (const auto* const number = std::get_if<std::int64_t>(&cell)) return *number;
  if (const auto* const text = std::get_if<std::string>(&cell)) return *text;
  return nullptr;
}

void print_table(std::ostream& out, const std::string& name, const db::TableRows& table) {
  std::vector<std::vector<std::string>> lines{table.columns};
  for (const auto& row : table.rows) {
    auto& line = lines.emplace_back();
    for (const auto& cell : row) line.push_back(to_text(cell));
  }
  std::vector<std::size_t> widths(table.columns.size());
  for (const auto& line : lines)
    for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  out << name << '\n';
  for (const auto& line : lines) {
    std::string text = " ";
    for (std::size_t i = 0; i < line.size(); ++i)
      text += ' ' + line[i] + std::string(widths[i] - line[i].size() + 1, ' ');
    text.erase(text.find_last_not_of(' ') + 1);
    out << text << '\n';
  }
}

Json to_json(const policy::Problem& problem) {
  return {{"table", problem.table}, {"row", problem.row}, {"sentence", problem.sentence}, {"denies", problem.is_deny}};
}

void put_row(Json& json, policy::Table table, std::int64_t row) {
  if (table == policy::Table::none) return;
  json["table"] = to_text(table);
  json["row"] = row;
}

/// "port_permits 3", or "".
std::string row_name(policy::Table table, std::int64_t row) {
  if (table == policy::Table::none) return {};
  return std::string(to_text(table)) + ' ' + std::to_string(row);
}

/// The lists as far as `name` ("" = none) is concerned, read from their files name by name: ten million are not
/// compiled for one question.
policy::Lists lists_about(const std::filesystem::path& database, const policy::Model& model, const std::string& name) {
  policy::Lists out;
  const policy::NameSuffixes suffixes(name, out.seed);
  for (const policy::DomainList& row : model.domain_lists) {
    if (row.file.empty()) continue;
    policy::ListFileState& state = out.by_file[row.file];
    try {
      const db::ListFile file(database.parent_path() / "lists" / row.file);
      std::vector<std::uint64_t> listed, exceptions;
      for (std::size_t i = 0; i < suffixes.count(); ++i) {
        const policy::ListEntry entry = file.find(suffixes.text(i));
        if (entry == policy::ListEntry::listed) listed.push_back(suffixes.hash(i));
        if (entry == policy::ListEntry::exception) exceptions.push_back(suffixes.hash(i));
      }
      state.names = policy::NameSet::build(std::move(listed), std::move(exceptions));
    } catch (const std::exception& error) {
      state.failure = error.what();
    }
  }
  return out;
}

/// What `explain` was asked, understood.
struct Asked {
  policy::ClientFacts client;
  policy::Flow flow;
  std::int64_t at = 0;  // Unix seconds
};

/// @return why it cannot be understood, or ""
std::string understand(const PolicyQuestion& question, Asked& out) {
  out.client = {question.plugin, question.listener, question.identity, {}};
  if (!question.source.empty()) {
    const auto source = IpAddress::parse(question.source);
    if (!source) return "--source `" + question.source + "` is not an IP address, such as 192.0.2.7";
    out.client.source = *source;
  }
  const auto at = question.at.empty() ? std::optional(unix_now()) : parse_time(question.at);
  if (!at) return "--at `" + question.at + "` is not a time: write it in UTC, such as 2026-11-21T14:30:00Z";
  out.at = *at;
  const auto destination = Endpoint::parse(question.destination, std::uint16_t{0});
  if (!destination)
    return "`" + question.destination + "` is not an address with a port, such as 198.51.100.4:53 or [2001:db8::1]:53";
  out.flow.destination = destination->address;
  out.flow.port = destination->port;
  const std::string& transport = question.transport;
  const char* const end = transport.data() + transport.size();
  const auto number = std::from_chars(transport.data(), end, out.flow.transport);
  if (transport == "tcp" || transport == "udp") {
    out.flow.transport = transport == "tcp" ? policy::kTcp : policy::kUdp;
  } else if (number.ec != std::errc{} || number.ptr != end || out.flow.transport > 255) {
    return "`" + transport + "` is not a transport: write tcp, udp or the number of an IP protocol";
  }
  out.flow.domain = question.domain;
  out.flow.flags = (question.resolver ? policy::kFlowResolver : 0) | (question.peer ? policy::kFlowPeer : 0) |
                   (question.bad_name ? policy::kFlowBadName : 0) | (question.domain.empty() ? 0 : policy::kFlowNamed);
  return {};
}

void print(std::ostream& out, const policy::Explanation& explained) {
  const policy::Verdict& verdict = explained.verdict;
  out << "group: " << shown(explained.group) << '\n';
  for (const policy::ExplainedStep& step : explained.steps) {
    out << std::left << std::setw(16) << step.name << std::setw(6) << step.outcome << step.sentence;
    if (step.table != policy::Table::none) out << " (" << row_name(step.table, step.row) << ')';
    out << '\n';
  }
  out << to_text(verdict.action) << ": " << to_text(verdict.reason);
  if (verdict.table != policy::Table::none) out << ", " << row_name(verdict.table, verdict.row);
  out << '\n';
}

/// The limits that rules set for the client's group: a line each, by scope.
struct LimitLine {
  std::string scope, name;
  policy::Limit limit;
};
std::vector<LimitLine> limit_lines(const policy::Limits& limits) {
  std::vector<LimitLine> out;
  for (const auto& [scope, of] : {std::pair{"session", &limits.session}, std::pair{"identity", &limits.identity}})
    for (const policy::TrafficColumn& column : policy::kTrafficColumns)
      if (const policy::Limit& limit = of->*column.limit; limit.value)
        out.push_back({scope, std::string(column.name), limit});
  return out;
}

void print(std::ostream& out, const policy::Limits& limits) {
  for (const LimitLine& line : limit_lines(limits)) {
    const std::string value = *line.limit.value == 0 ? "no limit" : std::to_string(*line.limit.value);
    out << "limit: " << line.name << " of a" << (line.scope == "identity" ? "n " : " ") << line.scope << ": " << value
        << " (" << row_name(policy::Table::traffic_rules, line.limit.row) << ")\n";
  }
}

Json to_json(const policy::Limits& limits) {
  Json out = Json::array();
  for (const LimitLine& line : limit_lines(limits))
    out.push_back({{"scope", line.scope}, {"name", line.name}, {"value", *line.limit.value}, {"row", line.limit.row}});
  return out;
}

Json to_json(const policy::Explanation& explained) {
  const policy::Verdict& verdict = explained.verdict;
  Json json{{"action", to_text(verdict.action)}, {"reason", to_text(verdict.reason)}};
  put_row(json, verdict.table, verdict.row);
  json["group"] = explained.group;
  json["steps"] = Json::array();
  for (const policy::ExplainedStep& step : explained.steps) {
    Json one{{"name", step.name}, {"outcome", step.outcome}, {"sentence", step.sentence}};
    put_row(one, step.table, step.row);
    json["steps"].push_back(std::move(one));
  }
  return json;
}

}  // namespace

int policy_init(const std::filesystem::path& database, std::ostream& out, std::ostream& err, bool json) try {
  if (database.has_parent_path()) std::filesystem::create_directories(database.parent_path());
  const db::PolicySchema done = db::prepare_policy(database);
  if (json) {
    Json body{{"path", database.string()}, {"created", done.created}, {"from", done.from}, {"to", done.to}};
    if (!done.backup.empty()) body["backup"] = done.backup.string();
    out << dump(body);
  } else if (done.created) {
    out << database.string() << ": made, with the starter policy\n";
  } else if (done.from != done.to) {
    out << database.string() << ": brought from schema version " << done.from << " to " << done.to
        << "; the old one is " << done.backup.string() << '\n';
  } else {
    out << database.string() << ": is there, schema version " << done.to << '\n';
  }
  return kYes;
} catch (const std::exception& error) {
  return wrong(err, error.what());
}

int policy_show(const std::filesystem::path& database, const std::string& table, std::ostream& out, std::ostream& err,
                bool json) try {
  const auto tables = db::policy_tables();
  if (!table.empty() && std::find(tables.begin(), tables.end(), table) == tables.end())
    return wrong(err, "there is no table `" + table + "`: `gatehouse policy show` shows them all");
  db::PolicyDatabase file(database);
  Json body = Json::object();
  for (const std::string_view name : tables) {
    if (!table.empty() && name != table) continue;
    const db::TableRows rows = file.read_table(name);
    if (!json && (!rows.rows.empty() || !table.empty())) print_table(out, std::string(name), rows);
    Json& list = body[std::string(name)] = Json::array();
    for (const auto& row : rows.rows) {
      Json& one = list.emplace_back(Json::object());
      for (std::size_t i = 0; i < row.size(); ++i) one[rows.columns[i]] = to_json(row[i]);
    }
  }
  if (json) out << dump(body);
  return kYes;
} catch (const std::exception& error) {
  return wrong(err, error.what());
}

int policy_problems(const std::filesystem::path& database, std::ostream& out, std::ostream& err, bool json) try {
  const policy::Model model = db::PolicyDatabase(database).load();
  const policy::Compiled compiled = policy::compile(model, {}, 1, unix_now(), lists_about(database, model, ""));
  if (json) {
    Json body{{"degraded", compiled.degraded}, {"problems", Json::array()}};
    for (const policy::Problem& problem : compiled.problems) body["problems"].push_back(to_json(problem));
    out << dump(body);
  } else {
    for (const policy::Problem& problem : compiled.problems)
      out << problem.table << ' ' << problem.row << ": " << shown(problem.sentence)
          << (problem.is_deny ? " (what it denies is not denied)" : "") << '\n';
    if (compiled.problems.empty()) out << "every row is in force\n";
  }
  return compiled.problems.empty() ? kYes : kNo;
} catch (const std::exception& error) {
  return wrong(err, error.what());
}

int policy_order(std::ostream& out, bool json) {
  out << (json ? dump({{"order", policy::order_text()}}) : std::string(policy::order_text()));
  return kYes;
}

std::optional<std::int64_t> parse_time(const std::string& text) {
  std::int64_t seconds = 0;
  const char* const end = text.data() + text.size();
  if (const auto number = std::from_chars(text.data(), end, seconds); number.ec == std::errc{} && number.ptr == end)
    return seconds;
  for (const char* form :
       {"%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d"}) {
    std::tm broken{};
    const char* const read = ::strptime(text.c_str(), form, &broken);
    if (read != nullptr && *read == 0) return ::timegm(&broken);
  }
  return {};
}

int policy_explain(const PolicyQuestion& question, std::ostream& out, std::ostream& err, bool json) try {
  Asked asked;
  if (const std::string why = understand(question, asked); !why.empty()) return wrong(err, why);
  policy::Surroundings surroundings;
  if (question.surroundings) {
    surroundings = *question.surroundings;
  } else {
    AddressSet here = read_own_addresses();
    surroundings.own_addresses = std::move(here.own);
    surroundings.broadcast_addresses = std::move(here.broadcast);
  }
  const policy::Model model = db::PolicyDatabase(question.database).load();
  const auto compiled =
      policy::compile(model, surroundings, 1, asked.at, lists_about(question.database, model, question.domain));
  const policy::Snapshot& snapshot = *compiled.snapshot;
  const policy::Explanation explained = policy::explain(snapshot, asked.client, question.allow_local, asked.flow);
  const policy::Limits& limits = snapshot.limits(snapshot.group_of(asked.client));
  if (json) {
    Json body = to_json(explained);
    body["limits"] = to_json(limits);
    body["revision"] = model.revision;
    out << dump(body);
  } else {
    print(out, explained);
    print(out, limits);
    out << "policy: revision " << model.revision << " of " << question.database.string() << '\n';
  }
  return explained.verdict.allowed() ? kYes : kNo;
} catch (const std::exception& error) {
  return wrong(err, error.what());
}

}  // namespace gatehouse
