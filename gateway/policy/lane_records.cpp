#include "gateway/policy/lane_records.hpp"

#include "gateway/base/openmetrics.hpp"

#include <algorithm>

namespace gatehouse {

using policy::Action;
using policy::Reason;
using policy::Table;

void LaneRecord::count(const policy::Verdict& verdict) noexcept {
  auto& cell = verdicts_[index(verdict.action, verdict.reason)];
  cell.store(cell.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);  // there is one writer
  if (verdict.table == Table::none) return;
  rows_.add({verdict.table, verdict.row}, verdict.allowed() ? RowEffect::allow : RowEffect::deny);
}

void LaneRecord::tell(const policy::Verdict& verdict, const policy::SideHits& hits, const policy::Flow& flow,
                      const IpAddress& source) noexcept {
  for (std::size_t i = 0; i < hits.count; ++i) {
    rows_.add(hits.rows[i], RowEffect::monitor);
    notices_.push(hits.rows[i], true, flow, source);
  }
  if (hits.more != 0) rows_.add_unnamed(hits.more);
  if (const policy::RowRef& name = hits.allowed_name; name.table != Table::none) {
    rows_.add(name, RowEffect::allow);
    if (name.table == Table::domain_lists) notices_.push(name, false, flow, source);
  }
  if (verdict.table == Table::domain_lists) notices_.push({verdict.table, verdict.row}, false, flow, source);
}

void LaneRecord::count_strange_client() noexcept {
  strange_clients_.store(strange_clients() + 1, std::memory_order_relaxed);  // there is one writer
}

void RecordSums::add_row(const RowKey& key, std::uint64_t count) {
  const auto found = rows.find(key);
  if (found != rows.end()) {
    found->second += count;
  } else if (rows.size() < kMostRows) {
    rows.emplace(key, count);
  } else {
    rows_overflow += count;
  }
}

void RecordSums::add(LaneRecord& record) {
  for (const Action action : {Action::deny, Action::allow})
    for (std::size_t i = 0; i < LaneRecord::kReasons; ++i) {
      const auto reason = static_cast<Reason>(i);
      if (const std::uint64_t count = record.verdicts(action, reason)) verdicts[{action, reason}] += count;
    }
  record.rows().for_each([this](policy::RowRef row, RowEffect effect, std::uint64_t count) {
    add_row({row, effect}, count);
  });
  rows_overflow += record.rows().overflow();
  notices_dropped += record.notices().dropped();
  strange_clients += record.strange_clients();
}

void RecordSums::add(const RecordSums& other) {
  for (const auto& [key, count] : other.verdicts) verdicts[key] += count;
  for (const auto& [key, count] : other.rows) add_row(key, count);
  rows_overflow += other.rows_overflow;
  notices_dropped += other.notices_dropped;
  strange_clients += other.strange_clients;
}

std::shared_ptr<LaneRecord> LaneRecords::open(std::string_view plugin) {
  auto record = std::make_shared<LaneRecord>();
  const std::scoped_lock lock(mutex_);
  records_.push_back({std::string(plugin), record});
  return record;
}

PolicyRows rows_of(const policy::Model& model) {
  PolicyRows out;
  const auto add = [&out](Table table, const auto& rows) {
    for (const auto& row : rows) out.push_back({table, row.id});
  };
  add(Table::settings, model.settings);
  add(Table::admissions, model.admissions);
  add(Table::domain_rules, model.domain_rules);
  add(Table::domain_lists, model.domain_lists);
  add(Table::port_permits, model.port_permits);
  add(Table::traffic_rules, model.traffic_rules);
  std::sort(out.begin(), out.end());
  return out;
}

void LaneRecords::keep_only(const PolicyRows& rows) {
  const auto stays = [&rows](policy::RowRef row) { return std::binary_search(rows.begin(), rows.end(), row); };
  const std::scoped_lock lock(mutex_);
  for (auto& [plugin, record] : records_) record->rows().drop(stays);
  for (auto& [plugin, sums] : ended_)
    std::erase_if(sums.rows, [&](const auto& entry) { return !stays(entry.first.row); });
}

/// The records to drain. One whose lane has ended is added to the sums, and drained for the last time.
std::vector<std::shared_ptr<LaneRecord>> LaneRecords::gather() {
  std::vector<std::shared_ptr<LaneRecord>> out;
  const std::scoped_lock lock(mutex_);
  std::erase_if(records_, [&](auto& entry) {
    const bool over = entry.record->ended();
    if (over) ended_[entry.plugin].add(*entry.record);
    out.push_back(entry.record);
    return over;
  });
  return out;
}

std::map<std::string, RecordSums, std::less<>> LaneRecords::sums() const {
  const std::scoped_lock lock(mutex_);
  auto out = ended_;
  for (const auto& [plugin, record] : records_) out[plugin].add(*record);
  return out;
}

std::map<policy::RowRef, std::uint64_t> LaneRecords::monitor_counts() const {
  std::map<policy::RowRef, std::uint64_t> out;
  for (const auto& [plugin, sums] : sums())
    for (const auto& [key, count] : sums.rows)
      if (key.effect == RowEffect::monitor) out[key.row] += count;
  return out;
}

StrangeClientCounts LaneRecords::strange_clients() const {
  StrangeClientCounts out;
  const std::scoped_lock lock(mutex_);
  for (const auto& [plugin, sums] : ended_)
    if (sums.strange_clients != 0) out[plugin] += sums.strange_clients;
  for (const auto& [plugin, record] : records_)
    if (const std::uint64_t count = record->strange_clients()) out[plugin] += count;
  return out;
}

void LaneRecords::write_to(OpenMetrics& out) const {
  RecordSums all;
  for (const auto& [plugin, sums] : sums()) {
    for (const auto& [key, count] : sums.verdicts)
      out.counter("gatehouse_policy_verdicts", "Verdicts of the policy.",
                  {{"plugin", plugin},
                   {"action", std::string(policy::to_text(key.action))},
                   {"reason", std::string(policy::to_text(key.reason))}},
                  count);
    out.counter("gatehouse_policy_strange_clients",
                "Calls of a plugin with a client that is not open on its lane: refused, and its fault.",
                {{"plugin", plugin}}, sums.strange_clients);
    all.add(sums);
  }
  for (const auto& [key, count] : all.rows)
    out.counter("gatehouse_policy_row_hits", "Verdicts that a row of policy.db has decided, or watched (monitor).",
                {{"table", std::string(policy::to_text(key.row.table))},
                 {"row", std::to_string(key.row.row)},
                 {"action", std::string(to_text(key.effect))}},
                count);
  out.counter("gatehouse_policy_row_hits_overflow", "Hits of rows beyond the most that are counted one by one.", {},
              all.rows_overflow);
  out.counter("gatehouse_policy_notices_dropped", "Notices for the log that found a lane's ring full.", {},
              all.notices_dropped);
}

}  // namespace gatehouse
