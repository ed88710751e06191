// What each client carried on each day: sums of what sessions report, kept per plugin, payer and group.
#pragma once

#include "db/store/store.hpp"

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace gatehouse {

/// One thread's, the writer's.
class UsageLedger {
 public:
  /// Of one day; whoever comes later is accounted for without a name.
  static constexpr std::size_t kMostKeys = 65536;

  void load(const std::vector<db::UsageRecord>& records);
  void add(const db::UsageKey& key, const db::TrafficTotals& carried);

  [[nodiscard]] std::size_t changed() const noexcept { return changed_.size() + marked_.size(); }
  /// Marks the rows that have changed by now, and those that were marked before.
  void mark() { marked_.merge(changed_); }
  /// How many of the marked rows are still to be written.
  [[nodiscard]] std::size_t marked() const noexcept { return marked_.size(); }
  /// Adds up to `most` changed rows to a batch, marked ones first; they stay changed until written() is called.
  void fill(db::StoreBatch& batch, std::size_t most) const;
  void written(const db::StoreBatch& batch);
  /// The store cannot take the row: it waits no more, until more is added to it or retry_aside().
  void set_aside(const db::UsageKey& key);
  [[nodiscard]] std::size_t aside() const noexcept { return aside_.size(); }
  void retry_aside() { changed_.merge(aside_); }
  /// Every row is to be written again.
  void change_all();
  /// Days before this one are over and written: they need no memory.
  void forget_before(std::int64_t day);

 private:
  std::map<db::UsageKey, db::TrafficTotals> totals_;
  std::set<db::UsageKey> changed_, marked_, aside_;  // a row is in one of them at most
  std::map<std::int64_t, std::size_t> keys_of_day_;
};

}  // namespace gatehouse
