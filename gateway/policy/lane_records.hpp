// What lanes record of their verdicts, for metrics and the log: one record a lane, gathered here for readers.
#pragma once

#include "gateway/policy/notice_ring.hpp"
#include "gateway/policy/row_counts.hpp"
#include "gateway/policy/strange_clients.hpp"
#include "policy/model.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse {

class OpenMetrics;

/// One lane's. The lane writes, others read; nothing locks or allocates.
class LaneRecord {
 public:
  static constexpr std::size_t kReasons = gatehouse::kReasons;

  /// Counts one verdict.
  void count(const policy::Verdict& verdict) noexcept;
  /// Counts the rows that one flow met beside its verdict, and writes a notice for each monitor row and each list among
  /// them, and for a list that gave the verdict.
  void tell(const policy::Verdict& verdict, const policy::SideHits& hits, const policy::Flow& flow,
            const IpAddress& source) noexcept;
  /// Counts a call with a client that is not open on this lane.
  void count_strange_client() noexcept;

  [[nodiscard]] std::uint64_t verdicts(policy::Action action, policy::Reason reason) const noexcept {
    return verdicts_[index(action, reason)].load(std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t strange_clients() const noexcept {
    return strange_clients_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] const RowCounts& rows() const noexcept { return rows_; }
  [[nodiscard]] RowCounts& rows() noexcept { return rows_; }
  [[nodiscard]] NoticeRing& notices() noexcept { return notices_; }

  /// The lane writes no more.
  void end() noexcept { ended_.store(true, std::memory_order_release); }
  [[nodiscard]] bool ended() const noexcept { return ended_.load(std::memory_order_acquire); }

 private:
  [[nodiscard]] static std::size_t index(policy::Action action, policy::Reason reason) noexcept {
    return static_cast<std::size_t>(action) * kReasons + static_cast<std::size_t>(reason);
  }
  std::array<std::atomic<std::uint64_t>, 2 * kReasons> verdicts_{};
  std::atomic<std::uint64_t> strange_clients_{0};
  RowCounts rows_;
  NoticeRing notices_;
  std::atomic<bool> ended_{false};
};

/// The sums of some records.
struct RecordSums {
  static constexpr std::size_t kMostRows = RowCounts::kSlots;
  struct VerdictKey {
    policy::Action action;
    policy::Reason reason;
    auto operator<=>(const VerdictKey&) const = default;
  };
  struct RowKey {
    policy::RowRef row;
    RowEffect effect;
    auto operator<=>(const RowKey&) const = default;
  };
  std::map<VerdictKey, std::uint64_t> verdicts;
  std::map<RowKey, std::uint64_t> rows;  ///< at most kMostRows
  std::uint64_t rows_overflow = 0, notices_dropped = 0, strange_clients = 0;

  void add(LaneRecord& record);
  void add(const RecordSums& other);

 private:
  void add_row(const RowKey& key, std::uint64_t count);
};

/// Rows of the policy, sorted.
using PolicyRows = std::vector<policy::RowRef>;
[[nodiscard]] PolicyRows rows_of(const policy::Model& model);

/// The records of all lanes, those that have ended included. Thread-safe; a lane calls it once, when it begins.
class LaneRecords {
 public:
  /// A record for a lane of `plugin`, kept until its end().
  [[nodiscard]] std::shared_ptr<LaneRecord> open(std::string_view plugin);
  /// Takes every notice. One thread at a time. `take(const Notice&)` must not call back.
  template <class Take>
  void drain(Take take) {
    for (const auto& record : gather()) record->notices().drain(take);
  }
  /// How often a monitor row has matched, all lanes and plugins together.
  [[nodiscard]] std::map<policy::RowRef, std::uint64_t> monitor_counts() const;
  /// Which plugins have asked for clients that they do not have.
  [[nodiscard]] StrangeClientCounts strange_clients() const;
  /// Forgets what rows have counted that are not in the policy any more: their places are for others. One thread at a
  /// time, which drains too.
  void keep_only(const PolicyRows& rows);
  void write_to(OpenMetrics& out) const;

 private:
  [[nodiscard]] std::vector<std::shared_ptr<LaneRecord>> gather();
  [[nodiscard]] std::map<std::string, RecordSums, std::less<>> sums() const;

  struct Entry {
    std::string plugin;
    std::shared_ptr<LaneRecord> record;
  };

  mutable std::mutex mutex_;  // guards what follows, but not what is in a record
  std::vector<Entry> records_;
  std::map<std::string, RecordSums, std::less<>> ended_;  // by plugin
};

}  // namespace gatehouse
