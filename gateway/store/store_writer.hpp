// Copies the tables in memory to the store, on a thread of its own: the only one that waits for a disk.
#pragma once

#include "db/store/store.hpp"
#include "gateway/base/utc_time.hpp"
#include "gateway/store/durability.hpp"
#include "gateway/store/pending_rows.hpp"
#include "gateway/store/session_table.hpp"
#include "gateway/store/store_status.hpp"
#include "gateway/store/usage_ledger.hpp"
#include "gateway/store/value_table.hpp"

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace gatehouse {

/// Called on the writer's thread or in watch(), with no lock held that anybody else may want. They must not throw.
struct StoreEvents {
  /// One sentence for the log: `bad` when something needs a person.
  std::function<void(bool bad, const std::string& sentence)> said;
  /// Nothing can be written, under OnStoreFailure::stop: once.
  std::function<void()> stop;
};

/// Leases, values and sessions that can be resumed are committed at once, together with what came in the meantime;
/// traffic counters, and sessions that end with their connection, every ten seconds. What cannot be written stays in
/// memory, newest version only, and is tried again after 1, 2, 4 ... 60 seconds.
///
/// Thread-safe, but for construction and close().
class StoreWriter {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::size_t kMostRows = 2048;                  ///< of a commit
  static constexpr std::chrono::milliseconds kLongestLinger{20};  ///< for others to come into the same commit
  static constexpr std::chrono::seconds kRound{10};               ///< how often counters are looked at
  static constexpr std::chrono::seconds kPatience{2};             ///< with a lock, or a write that does not return

  /// Loads everything that is remembered, before it returns. @throws db::StoreError
  StoreWriter(std::unique_ptr<db::Store> store, OnStoreFailure on_failure, StoreEvents events,
              UnixClock clock = &unix_now);
  /// Without close(): what is not written by now is lost, as with kill -9.
  ~StoreWriter();
  StoreWriter(const StoreWriter&) = delete;
  StoreWriter& operator=(const StoreWriter&) = delete;

  [[nodiscard]] const std::shared_ptr<SessionTable>& sessions() const noexcept { return sessions_; }
  [[nodiscard]] const std::shared_ptr<ValueTable>& values() const noexcept { return values_; }
  /// Usage that was remembered at the start, for quotas.
  [[nodiscard]] const std::vector<db::UsageRecord>& remembered_usage() const noexcept { return remembered_usage_; }
  [[nodiscard]] const db::StoreOpening& opening() const noexcept { return opening_; }

  [[nodiscard]] StoreStatus status() const;
  void set_on_failure(OnStoreFailure what) noexcept { durability_->set_on_failure(what); }
  /// To be called every second or so: a write that does not return is a failure too.
  void watch();
  /// Writes everything, counters too. @return false: not by then
  bool flush(Clock::time_point deadline);
  /// The end of an orderly life, when plugins have returned. @return false: something could not be written by then
  bool close(Clock::time_point deadline);

 private:
  void load();
  void run() noexcept;
  void wait(Clock::time_point until);
  void round(std::int64_t now);
  void collect();
  void take(ChangeLink& link);
  [[nodiscard]] bool wants_to_write() const noexcept;
  void write_pending();
  [[nodiscard]] bool write_batch();
  void start_over();
  void succeeded(std::size_t rows, Clock::duration took);
  void failed(bool only_busy, const std::string& why);
  void upkeep(Clock::time_point now);
  void publish();
  void say(bool bad, const std::string& sentence) const {
    if (events_.said) events_.said(bad, sentence);
  }

  const StoreEvents events_;
  const UnixClock clock_;
  const std::shared_ptr<Durability> durability_ = std::make_shared<Durability>();
  const std::shared_ptr<SessionTable> sessions_ = std::make_shared<SessionTable>(durability_);
  const std::shared_ptr<ValueTable> values_ = std::make_shared<ValueTable>(durability_);
  std::vector<db::UsageRecord> remembered_usage_;
  db::StoreOpening opening_;

  // the writer's thread
  std::unique_ptr<db::Store> store_;
  PendingRows pending_;
  UsageLedger usage_;
  Clock::time_point next_round_{}, next_upkeep_{}, retry_at_{};
  Clock::duration last_commit_{};
  std::chrono::seconds back_off_{0};
  std::optional<Clock::time_point> failing_since_;
  bool all_is_due_ = false;  // also what may wait for the next round
  bool told_failure_ = false, told_stop_ = false;

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable flushed_cv_;
  StoreStatus status_;
  std::optional<Clock::time_point> oldest_;   // of the rows that wait
  std::optional<Clock::time_point> writing_;  // since when
  std::uint64_t flush_wanted_ = 0, flush_done_ = 0;
  bool closing_ = false, stopping_ = false;

  std::thread thread_;
};

}  // namespace gatehouse
