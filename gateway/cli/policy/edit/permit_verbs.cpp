#include "gateway/cli/policy/edit/permit_verbs.hpp"

#include "db/policy/policy_database.hpp"
#include "gateway/cli/policy/edit/editor_name.hpp"
#include "policy/match/port_set.hpp"

#include <gatehouse/base/prefix.hpp>

#include <algorithm>

namespace gatehouse {
namespace {

constexpr std::int64_t kDenyPriority = 50, kPermitPriority = 100;

std::string ports_text(const std::string& text) {
  std::string out;
  for (const policy::PortRange& range : policy::parse_ports(text).value()) {
    if (range == policy::kAllPorts) return "all";
    out += (out.empty() ? "" : ",") + std::to_string(range.first) +
           (range.first == range.last ? "" : '-' + std::to_string(range.last));
  }
  return out;
}

policy::PortPermit permit_row(const PermitArguments& arguments, const std::string& action) {
  policy::PortPermit row;
  row.transport = arguments.transport;
  row.ports = arguments.ports;
  if (!arguments.destination.empty()) row.destination = arguments.destination;
  row.action = action;
  row.priority = arguments.priority.value_or(action == "deny" ? kDenyPriority : kPermitPriority);
  policy::Model rows;
  rows.port_permits.push_back(row);
  must_compile(std::move(rows));
  row.ports = ports_text(arguments.ports);
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
  const CurrentPolicy current(db::PolicyDatabase(database).load(), database);
  policy::Flow flow;
  const IpAddress& public_one = CurrentPolicy::public_address();
  const auto prefix = row.destination ? Prefix::parse(*row.destination).value() : Prefix(public_one, 0);
  flow.destination = prefix.contains(public_one) ? public_one : prefix.address();
  const bool is_icmp = row.transport == "icmp";
  flow.port = is_icmp ? 0 : std::max<std::uint16_t>(policy::parse_ports(*row.ports)->front().first, 1);
  flow.transport = is_icmp ? policy::kIcmp : row.transport == "tcp" ? policy::kTcp : policy::kUdp;
  const auto verdict = current.judge(row.group_id, flow);
  if (!verdict) return "The group is disabled: its rows have no effect.";
  if (verdict->allowed() == (row.action == "allow")) return {};
  if (verdict->table == policy::Table::port_permits && verdict->row != id)
    return "But port_permits " + std::to_string(verdict->row) +
           " is judged earlier and says otherwise: a lower --priority puts this row before it.";
  const std::string_view transport = row.transport == "any" ? "udp" : std::string_view(row.transport);
  return "But it does not decide for all that it names: see `gatehouse policy explain " + std::string(transport) + ' ' +
         Endpoint{flow.destination, flow.port, 0}.to_string() + "`.";
}

int put_permit(const Invocation& invocation, const PermitArguments& arguments, const std::string& action) {
  const std::filesystem::path database = policy_db(invocation);
  policy::PortPermit row = permit_row(arguments, action);
  EditReport report{"port_permits", {}, {}};
  {
    db::PolicyEditor editor(database, editor_name());
    const policy::Model rows = editor.load();
    row.group_id = find_group(rows, arguments.group);
    const auto existing = find_existing(rows.port_permits, [&](const auto& other) { return same_permit(other, row); });
    report.row = put_row(editor, "port_permits", existing,
                         {{"group_id", cell_of(row.group_id)},
                          {"transport", row.transport},
                          {"ports", *row.ports},
                          {"destination", row.destination ? db::Cell(*row.destination) : db::Cell()},
                          {"action", action},
                          {"priority", row.priority}},
                         arguments);
    editor.commit();
  }
  const std::string transport = row.transport == "any" ? "every transport" : row.transport;
  const std::string to = row.destination ? *row.destination : action == "allow" ? "any public address" : "any address";
  report.effect = transport +
                  (row.transport == "icmp" ? " to "
                   : row.ports == "all"    ? ", all ports, to "
                                           : ", port " + *row.ports + ", to ") +
                  to + " is " + (action == "allow" ? "permitted " : "denied ") + for_whom(arguments);
  report.note = without_effect(database, row, report.row.id);
  print_report(invocation, report);
  return kExitYes;
}

}  // namespace

int policy_permit_verb(const Invocation& invocation, const PermitArguments& arguments) {
  return put_permit(invocation, arguments, "allow");
}

int policy_deny_verb(const Invocation& invocation, const PermitArguments& arguments) {
  return put_permit(invocation, arguments, "deny");
}

}  // namespace gatehouse
