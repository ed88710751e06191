#include "gateway/store/usage_ledger.hpp"

namespace gatehouse {

void UsageLedger::load(const std::vector<db::UsageRecord>& records) {
  for (const db::UsageRecord& record : records) {
    if (totals_.insert_or_assign(record.key, record.totals).second) ++keys_of_day_[record.key.day];
  }
}

void UsageLedger::add(const db::UsageKey& key, const db::TrafficTotals& carried) {
  if (carried == db::TrafficTotals{}) return;
  auto found = totals_.find(key);
  if (found == totals_.end()) {
    std::size_t& keys = keys_of_day_[key.day];
    if (keys >= kMostKeys && !key.identity.empty()) return add({key.day, key.plugin, "", key.group_name}, carried);
    ++keys;
    found = totals_.emplace(key, db::TrafficTotals{}).first;
  }
  found->second.bytes_up += carried.bytes_up;
  found->second.bytes_down += carried.bytes_down;
  found->second.packets_up += carried.packets_up;
  found->second.packets_down += carried.packets_down;
  aside_.erase(key);
  if (!marked_.contains(key)) changed_.insert(key);
}

void UsageLedger::set_aside(const db::UsageKey& key) {
  if (changed_.erase(key) + marked_.erase(key) != 0) aside_.insert(key);
}

void UsageLedger::fill(db::StoreBatch& batch, std::size_t most) const {
  for (const std::set<db::UsageKey>* const keys : {&marked_, &changed_}) {
    for (const db::UsageKey& key : *keys) {
      if (most-- == 0) return;
      batch.usage.push_back({key, totals_.at(key)});
    }
  }
}

void UsageLedger::written(const db::StoreBatch& batch) {
  for (const db::UsageRecord& record : batch.usage) {
    if (marked_.erase(record.key) == 0) changed_.erase(record.key);
  }
}

void UsageLedger::change_all() {
  for (const auto& [key, totals] : totals_) {
    if (!marked_.contains(key)) changed_.insert(key);
  }
  aside_.clear();
}

void UsageLedger::forget_before(std::int64_t day) {
  const auto is_written = [this](const db::UsageKey& key) { return !changed_.contains(key) && !marked_.contains(key); };
  while (!totals_.empty() && totals_.begin()->first.day < day && is_written(totals_.begin()->first)) {
    aside_.erase(totals_.begin()->first);
    totals_.erase(totals_.begin());
  }
  keys_of_day_.erase(keys_of_day_.begin(), keys_of_day_.lower_bound(day));
}

}  // namespace gatehouse
