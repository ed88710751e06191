#include "policy/compile/tables.hpp"
#include "policy/limiter.hpp"

namespace gatehouse::policy {
namespace {

/// A number that meters cannot hold is in force as the largest that they can.
void at_most(const RowAt& at, std::string_view column, const Amount& amount, std::uint64_t most, Draft& draft) {
  if (static_cast<std::uint64_t>(amount.value_or(0)) > most)
    draft.problem(at, Fault::traffic_too_large, {column, std::to_string(most)});
}

/// Can the row be in force? A problem where it cannot.
bool is_readable(const TrafficRule& row, Draft& draft) {
  const RowAt at{"traffic_rules", row.id};
  const auto refuse = [&](Fault fault, std::string_view word) {
    draft.problem(at, fault, {word});
    return false;
  };
  if (row.scope != "session" && row.scope != "identity") return refuse(Fault::traffic_scope, row.scope);
  if (row.quota_period && *row.quota_period != "day" && *row.quota_period != "month")
    return refuse(Fault::traffic_period, *row.quota_period);
  for (const TrafficColumn& column : kTrafficColumns)
    if ((row.*column.row).value_or(0) < 0) return refuse(Fault::traffic_negative, column.name);
  at_most(at, "destinations_per_minute", row.destinations_per_minute, DistinctWindow::kMostThings, draft);
  at_most(at, "quota_bytes", row.quota_bytes, QuotaMeter::kMostBytes, draft);
  return true;
}

/// The columns that the row has something in.
void apply(const TrafficRule& row, Limits& limits) {
  ScopeLimits& to = row.scope == "session" ? limits.session : limits.identity;
  for (const TrafficColumn& column : kTrafficColumns)
    if (const Amount& amount = row.*column.row) to.*column.limit = {static_cast<std::uint64_t>(*amount), row.id};
  if (row.quota_period) to.quota_period = *row.quota_period;
}

}  // namespace

void compile_traffic_rules(const Model& model, Draft& draft) {
  std::vector<const TrafficRule*> own;  // of groups: they come after those of `everyone`, which they beat
  for (const TrafficRule& row : model.traffic_rules) {
    if (!draft.counts(row.life)) continue;
    if (row.group_id != 0) {
      own.push_back(&row);
    } else if (is_readable(row, draft)) {
      for (GroupPolicy& of : draft.parts.groups) apply(row, of.limits);
    }
  }
  for (const TrafficRule* row : own)
    if (is_readable(*row, draft))
      if (const auto of = draft.group(row->group_id, {"traffic_rules", row->id})) apply(*row, draft.at(*of).limits);
}

}  // namespace gatehouse::policy
