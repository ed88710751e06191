#include "gateway/cli/policy/explain_verb.hpp"

#include "db/policy/policy_copy.hpp"
#include "db/policy/policy_database.hpp"
#include "gateway/base/utc_time.hpp"
#include "gateway/cli/policy/list_lookup.hpp"
#include "gateway/cli/policy/running_limits.hpp"
#include "gateway/cli/render.hpp"
#include "gateway/policy/own_addresses.hpp"
#include "policy/compile.hpp"
#include "policy/explain.hpp"
#include "policy/match/ascii_domain.hpp"

#include <gatehouse/abi.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <iomanip>
#include <ostream>
#include <stdexcept>
#include <vector>

namespace gatehouse {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMostLeftOut = 20;

/// The name of the list with that row, "" for any other row.
std::string list_name(const policy::Model& rows, policy::Table table, std::int64_t row) {
  if (table != policy::Table::domain_lists) return {};
  for (const policy::DomainList& list : rows.domain_lists)
    if (list.id == row) return list.name;
  return {};
}

/// "port_permits 3", "domain_lists 2, ads".
std::string row_name(const policy::Model& rows, policy::Table table, std::int64_t row) {
  const std::string list = list_name(rows, table, row);
  return std::string(to_text(table)) + ' ' + std::to_string(row) + (list.empty() ? "" : ", " + printable(list));
}

void add_row(Json& json, const policy::Model& rows, policy::Table table, std::int64_t row) {
  if (table == policy::Table::none) return;
  json["table"] = to_text(table);
  json["row"] = row;
  if (const std::string list = list_name(rows, table, row); !list.empty()) json["list"] = list;
}

/// The question, parsed.
struct Question {
  policy::ClientFacts client;  // views of the arguments
  policy::Flow flow;           // `domain` apart: it is a view
  std::string name;
  std::int64_t at = 0;  // Unix seconds
};

std::uint32_t parse_transport(const std::string& text) {
  if (text == "tcp") return policy::kTcp;
  if (text == "udp") return policy::kUdp;
  if (text == "icmp") return policy::kIcmp;
  std::uint32_t number = 0;
  const char* const end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, number);
  if (read.ec != std::errc{} || read.ptr != end || number > 255)
    throw std::runtime_error("`" + text + "` is not a transport: write tcp, udp, icmp or the number of an IP protocol");
  return number;
}

policy::Flow parse_flow(const ExplainArguments& arguments) {
  const auto destination = Endpoint::parse(arguments.destination, std::uint16_t{0});
  if (!destination)
    throw std::runtime_error("`" + arguments.destination +
                             "` is not an address with a port, such as 198.51.100.4:53 or [2001:db8::1]:53");
  policy::Flow out;
  out.destination = destination->address;
  out.port = destination->port;
  out.transport = parse_transport(arguments.transport);
  out.flags = (arguments.resolver ? policy::kFlowResolver : 0) | (arguments.peer ? policy::kFlowPeer : 0) |
              (arguments.domain.empty() ? 0 : policy::kFlowNamed);
  return out;
}

/// @throws std::runtime_error with a sentence
Question parse_question(const ExplainArguments& arguments) {
  Question out;
  out.client = {arguments.plugin, arguments.listener, arguments.identity, {}};
  if (!arguments.source.empty()) {
    const auto source = IpAddress::parse(arguments.source);
    if (!source)
      throw std::runtime_error("--source `" + arguments.source + "` is not an IP address, such as 192.0.2.7");
    out.client.source = *source;
  }
  const auto at = arguments.at.empty() ? std::optional(unix_now()) : parse_time(arguments.at);
  if (!at)
    throw std::runtime_error("--at `" + arguments.at +
                             "` is not a time: write it in UTC, such as 2026-11-21T14:30:00Z");
  out.at = *at;
  out.flow = parse_flow(arguments);
  if (!arguments.domain.empty()) {
    const auto name = policy::ascii_domain(arguments.domain);
    if (!name) throw std::runtime_error("--domain `" + arguments.domain + "` is not a domain name");
    out.name = *name;
  }
  return out;
}

void print(std::ostream& out, const policy::Explanation& explained, const policy::Model& rows) {
  const policy::Verdict& verdict = explained.verdict;
  out << "group: " << printable(explained.group) << '\n';
  for (const policy::ExplainedStep& step : explained.steps) {
    out << std::left << std::setw(16) << step.name << std::setw(6) << step.outcome << step.sentence;
    if (step.table != policy::Table::none) out << " (" << row_name(rows, step.table, step.row) << ')';
    out << '\n';
  }
  out << to_text(verdict.action) << ": " << to_text(verdict.reason);
  if (verdict.table != policy::Table::none) out << ", " << row_name(rows, verdict.table, verdict.row);
  out << '\n';
}

/// The limits that rules set for the client's group, and those that hold without: a line each, by scope.
struct LimitLine {
  std::string scope, name;
  policy::Limit limit;
};
std::vector<LimitLine> limit_lines(const policy::Limits& limits) {
  std::vector<LimitLine> out;
  for (const auto& [scope, of] : {std::pair{"session", &limits.session}, std::pair{"identity", &limits.identity}})
    for (const policy::TrafficColumn& column : policy::kTrafficColumns)
      if (const policy::Limit& limit = of->*column.limit;
          limit.value && column.limit != &policy::ScopeLimits::token_failures_per_minute)
        out.push_back({scope, std::string(column.name), limit});
  out.push_back({"source", "token_failures_per_minute", limits.token_failures()});
  return out;
}

void print(std::ostream& out, const policy::Limits& limits) {
  for (const LimitLine& line : limit_lines(limits)) {
    const std::string value = *line.limit.value == 0 ? "no limit" : std::to_string(*line.limit.value);
    out << "limit: " << line.name << " of a" << (line.scope == "identity" ? "n " : " ") << line.scope << ": " << value
        << " (";
    if (line.limit.row == 0)
      out << "the default)\n";
    else
      out << to_text(policy::Table::traffic_rules) << ' ' << line.limit.row << ")\n";
  }
}

Json to_json(const policy::Limits& limits) {
  Json out = Json::array();
  for (const LimitLine& line : limit_lines(limits)) {
    const Json row = line.limit.row == 0 ? Json() : Json(line.limit.row);  // null: the default
    out.push_back({{"scope", line.scope}, {"name", line.name}, {"value", *line.limit.value}, {"row", row}});
  }
  return out;
}

Json to_json(const policy::Explanation& explained, const policy::Model& rows) {
  const policy::Verdict& verdict = explained.verdict;
  Json json{{"action", to_text(verdict.action)}, {"reason", to_text(verdict.reason)}};
  add_row(json, rows, verdict.table, verdict.row);
  json["group"] = explained.group;
  json["steps"] = Json::array();
  for (const policy::ExplainedStep& step : explained.steps) {
    Json one{{"name", step.name}, {"outcome", step.outcome}, {"sentence", step.sentence}};
    add_row(one, rows, step.table, step.row);
    json["steps"].push_back(std::move(one));
  }
  return json;
}

std::vector<policy::OwnListener> configured_listeners(const Config& config) {
  std::vector<policy::OwnListener> out;
  for (const auto& [name, plugin] : config.plugins) {
    if (!plugin.enabled) continue;
    for (const auto& [role, addresses] : plugin.listeners) {
      for (const ListenAddress& address : addresses) {
        if (address.kind == ListenAddress::Kind::unix_stream) continue;
        const bool datagram = address.kind == ListenAddress::Kind::udp;
        out.push_back({address.endpoint, static_cast<std::uint32_t>(datagram ? GH_TRANSPORT_UDP : GH_TRANSPORT_TCP)});
      }
    }
  }
  return out;
}

/// Where the answer comes from.
struct Sources {
  std::filesystem::path database;
  std::filesystem::path last_good = {};  ///< the gateway's copy, for when `database` cannot be read; "" = none
  std::filesystem::path lists;           ///< where list files are that are not beside the database
  std::filesystem::path socket = {};     ///< control socket of a gateway with that database; "" = ask none
};

Sources find_sources(const Invocation& invocation, const Config& config, const ExplainArguments& arguments) {
  Sources out{.database = arguments.database, .lists = config.state_dir / "lists"};
  if (!arguments.database.empty()) return out;
  out.database = config.state_dir / "policy.db";
  out.last_good = db::last_good_path(out.database);
  if (arguments.at.empty())
    out.socket = invocation.socket.empty() ? config.runtime_dir / "control.sock" : invocation.socket;
  return out;
}

policy::Surroundings find_surroundings(const Config& config, std::vector<policy::ClaimedPrefix> claims) {
  OwnAddresses here = read_own_addresses();
  return {.own = std::move(here.own),
          .broadcast = std::move(here.broadcast),
          .nat64 = config.nat64_prefixes,
          .listeners = configured_listeners(config),
          .claims = std::move(claims)};
}

bool allows_local(const Config& config, const std::string& plugin) {
  const auto found = config.plugins.find(plugin);
  return found != config.plugins.end() && found->second.allow_local_destinations;
}

/// The rows to judge by.
struct Rows {
  policy::Model model;
  std::filesystem::path file;
  std::string failure;  ///< why that is not the database which was asked for; "" = it is
};

/// As a gateway does: from the database, or else the last good copy of it. @throws std::exception of the database
Rows read_rows(const Sources& sources) {
  try {
    return {db::PolicyDatabase(sources.database).load(), sources.database, ""};
  } catch (const std::exception& error) {
    std::error_code ignored;
    if (sources.last_good.empty() || !std::filesystem::exists(sources.last_good, ignored)) throw;
    return {db::PolicyDatabase(sources.last_good).load(), sources.last_good,
            std::string(error.what()) + "; judged by the last good policy"};
  }
}

/// The rows that are not in force and might have mattered. Credentials cannot, since the client's identity is given;
/// nor can rows for names when the question has none.
std::vector<policy::Problem> left_out(const std::vector<policy::Problem>& problems, bool named) {
  std::vector<policy::Problem> out;
  for (const policy::Problem& problem : problems)
    if (problem.table != "credentials" && (named || !problem.table.starts_with("domain_"))) out.push_back(problem);
  return out;
}

void print(std::ostream& out, const std::vector<policy::Problem>& problems) {
  for (std::size_t i = 0; i < std::min(problems.size(), kMostLeftOut); ++i)
    out << (problems[i].in_force ? "look at: " : "not in force: ") << problems[i].table << ' ' << problems[i].row
        << ": " << printable(problems[i].sentence) << '\n';
  if (problems.size() > kMostLeftOut)
    out << "not in force: " << problems.size() - kMostLeftOut << " more rows: see `gatehouse policy problems`\n";
}

Json to_json(const std::vector<policy::Problem>& problems) {
  Json out = Json::array();
  for (const policy::Problem& problem : problems)
    out.push_back({{"table", problem.table}, {"row", problem.row}, {"sentence", problem.sentence}});
  return out;
}

}  // namespace

int policy_explain_verb(const Invocation& invocation, const ExplainArguments& arguments) {
  const Config config = load_config_or_defaults(invocation);
  const Sources sources = find_sources(invocation, config, arguments);
  Question question = parse_question(arguments);
  question.flow.domain = question.name;
  const Rows rows = read_rows(sources);
  const policy::Model& model = rows.model;
  std::optional<RunningLimits> running;
  if (!sources.socket.empty()) running = ask_limits(sources.socket, question.client);
  const policy::Surroundings around =
      find_surroundings(config, running ? claims_of(*running) : std::vector<policy::ClaimedPrefix>());
  const auto compiled =
      policy::compile(model, around, 1, question.at, lists_about(rows.file, model, question.name, sources.lists));
  const auto problems = left_out(compiled.problems, !question.name.empty());
  const policy::Snapshot& snapshot = *compiled.snapshot;
  const policy::Explanation explained =
      policy::explain(snapshot, question.client, allows_local(config, arguments.plugin), question.flow);
  const policy::Limits& limits = snapshot.limits(snapshot.group_of(question.client));
  std::ostream& out = invocation.out;
  if (invocation.json) {
    Json body = to_json(explained, model);
    if (!question.name.empty()) body["domain"] = question.name;
    body["limits"] = to_json(limits);
    body["not_in_force"] = to_json(problems);
    body["revision"] = model.revision;
    if (!rows.failure.empty()) body["failure"] = rows.failure;
    if (running) body["gateway"] = limits_json(*running);
    print_json(out, body);
  } else {
    if (!question.name.empty() && question.name != arguments.domain)
      out << "name: " << printable(question.name) << '\n';
    print(out, explained, model);
    print(out, limits);
    print(out, problems);
    if (!rows.failure.empty()) out << "failure: " << printable(rows.failure) << '\n';
    out << "policy: revision " << model.revision << " of " << rows.file.string() << '\n';
    const bool are_any = limit_lines(limits).size() > 1;  // beside the one of sources
    if (running) print_limits(out, *running, model.revision, are_any);
  }
  return explained.verdict.allowed() ? kExitYes : kExitNo;
}

}  // namespace gatehouse
