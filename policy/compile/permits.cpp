#include "policy/compile/cidr.hpp"
#include "policy/compile/tables.hpp"

#include <algorithm>
#include <tuple>

namespace gatehouse::policy {
namespace {

/// A permit and the field that decides its place in the order of judgement.
struct Ranked {
  std::int64_t priority = 0;
  Permit permit;
};

/// Reads where the row leads to; false, and a problem, where it cannot.
bool read_destination(const PortPermit& row, const RowAt& at, Draft& draft, Permit& out) {
  if (!row.destination) {
    out.reach = out.action == PermitAction::allow ? Permit::Reach::public_only : Permit::Reach::everything;
    return true;
  }
  const auto destination = read_cidr(*row.destination, at, draft);
  if (!destination) return false;
  out.reach = Permit::Reach::prefix;
  out.destination = PrefixBits(*destination);
  out.opens_bogon = out.action == PermitAction::allow && bogon_around(out.destination) != nullptr;
  return true;
}

/// @return none, and a problem, for a row that cannot be in force
std::optional<Permit> read_permit(const PortPermit& row, const RowAt& at, Draft& draft) {
  Permit out;
  out.row = row.id;
  out.action = row.action == "allow"  ? PermitAction::allow
               : row.action == "deny" ? PermitAction::deny
                                      : PermitAction::monitor;
  out.transport = row.transport == "tcp" ? kTcp : row.transport == "udp" ? kUdp : row.transport == "icmp" ? kIcmp : 0;
  auto ports = parse_ports(row.ports.value_or("all"));
  if (out.action == PermitAction::monitor && row.action != "monitor") {
    draft.problem(at, Fault::permit_action, {row.action});
  } else if (out.transport == 0 && row.transport != "any") {
    draft.problem(at, Fault::permit_transport, {row.transport});
  } else if (!ports) {
    draft.problem(at, Fault::permit_ports, {*row.ports});
  } else if (out.transport == kIcmp && *ports != std::vector{kAllPorts}) {
    draft.problem(at, Fault::permit_icmp_ports, {*row.ports});
  } else if (read_destination(row, at, draft, out)) {
    out.ports = std::move(*ports);
    return out;
  }
  return {};
}

/// The rows in force, in the order of judgement.
std::vector<Permit> read_permits(const Model& model, Draft& draft) {
  std::vector<Ranked> read;
  read.reserve(model.port_permits.size());
  for (const PortPermit& row : model.port_permits) {
    if (!draft.counts(row.life)) continue;
    const RowAt at{"port_permits", row.id, row.action != "allow" && row.action != "monitor"};
    const auto group = row.group_id ? draft.group(*row.group_id, at) : std::nullopt;
    if (row.group_id && !group) continue;
    auto permit = read_permit(row, at, draft);
    if (!permit) continue;
    permit->group = group;
    draft.parts.has_side_rows = draft.parts.has_side_rows || permit->action == PermitAction::monitor;
    read.push_back({row.priority, std::move(*permit)});
  }
  std::sort(read.begin(), read.end(), [](const Ranked& a, const Ranked& b) {
    return std::tie(a.priority, a.permit.row) < std::tie(b.priority, b.permit.row);
  });
  std::vector<Permit> out;
  out.reserve(read.size());
  for (Ranked& row : read) out.push_back(std::move(row.permit));
  return out;
}

/// Sets one fact of every range inside the prefixes.
void mark(const std::vector<Prefix>& prefixes, bool RangeFacts::*fact, SnapshotParts& parts) {
  for (const Prefix& prefix : prefixes) {
    const auto [first, end] = parts.ranges.inside(PrefixBits(prefix));
    for (std::uint32_t range = first; range < end; ++range) parts.facts[range].*fact = true;
  }
}

/// Cuts the addresses wherever a row without a group, a special range or a place of the gateway begins or ends.
void cut_ranges(const std::vector<Permit>& permits, const Surroundings& surroundings, SnapshotParts& parts) {
  std::vector<PrefixBits> borders;
  for (const SpecialRange& range : special_ranges()) borders.push_back(range.prefix);
  for (const Permit& permit : permits)
    if (permit.reach == Permit::Reach::prefix && !permit.group) borders.push_back(permit.destination);
  for (const ClaimedPrefix& claim : surroundings.claims) borders.emplace_back(claim.prefix);
  for (const auto* prefixes : {&surroundings.own, &surroundings.broadcast})
    for (const Prefix& prefix : *prefixes) borders.emplace_back(prefix);
  parts.ranges = AddressRanges(borders);
  for (std::uint32_t range = 0; range < parts.ranges.size(); ++range) {
    const AddressBits lowest = parts.ranges.lowest(range);
    parts.facts.push_back({special_range(lowest), parts.own.claimant_of(lowest.to_address())});
  }
  mark(surroundings.own, &RangeFacts::own, parts);
  mark(surroundings.broadcast, &RangeFacts::broadcast, parts);
}

}  // namespace

void compile_port_permits(const Model& model, const Surroundings& surroundings, Draft& draft) {
  SnapshotParts& parts = draft.parts;
  const std::vector<Permit> permits = read_permits(model, draft);
  cut_ranges(permits, surroundings, parts);
  parts.permits = PermitTable(permits, parts.groups.size(), parts.ranges);
  if (const auto row = parts.permits.uncounted())
    draft.problem({"port_permits", *row, false, true}, Fault::too_many_monitors);
}

}  // namespace gatehouse::policy
