// Copies the tables in memory to the store, on a thread of its own: the only one that waits for a disk.
#pragma once

#include "db/store/store.hpp"
#include "gateway/base/utc_time.hpp"
#include "gateway/store/session_table.hpp"
#include "gateway/store/store_health.hpp"
#include "gateway/store/store_status.hpp"
#include "gateway/store/value_table.hpp"

#include <chrono>
#include <cstddef>
#include <memory>
#include <thread>
#include <vector>

namespace gatehouse {

/// Leases, values and sessions that can be resumed are committed at once, together with what came in the meantime;
/// traffic counters, and sessions that end with their connection, every ten seconds. What cannot be written stays in
/// memory, newest version only, and is tried again after 1, 2, 4 ... 60 seconds.
///
/// Thread-safe, but for construction, close() and destruction.
class StoreWriter {
 public:
  using Clock = StoreHealth::Clock;
  static constexpr std::size_t kMostRows = 2048;                  ///< of a commit
  static constexpr std::chrono::milliseconds kLongestLinger{20};  ///< for others to come into the same commit
  static constexpr std::chrono::milliseconds kRound{10'000};      ///< how often counters are looked at
  static constexpr std::chrono::seconds kLeastEnd{1};             ///< what the thread is given to end, in close()

  /// Loads everything that is remembered, before it returns. @throws db::StoreError
  StoreWriter(std::unique_ptr<db::Store> store, OnStoreFailure on_failure, StoreEvents events,
              UnixClock clock = &unix_now, std::chrono::milliseconds round = kRound);
  /// Without close(): what is not written by now is lost, as with kill -9. Waits for a write that is under way.
  ~StoreWriter();
  StoreWriter(const StoreWriter&) = delete;
  StoreWriter& operator=(const StoreWriter&) = delete;

  [[nodiscard]] const std::shared_ptr<SessionTable>& sessions() const noexcept;
  [[nodiscard]] const std::shared_ptr<ValueTable>& values() const noexcept;
  /// Usage that was remembered at the start, for quotas.
  [[nodiscard]] const std::vector<db::UsageRecord>& remembered_usage() const noexcept;
  /// The result of the opening, and what was moved aside or found since.
  [[nodiscard]] db::StoreOpening opening() const;

  [[nodiscard]] StoreStatus status() const;
  void set_on_failure(OnStoreFailure what) noexcept;
  void set_retention(const db::Retention& retention);
  /// To be called every second or so: a call to the store that does not return is a failure too.
  void watch();
  /// Writes all that there is now, counters too. While the disk fails it is tried once, whatever the pause was to be.
  /// @return false: not by then
  bool flush(Clock::time_point deadline);
  /// For an orderly end, when plugins have returned. A store that does not return is abandoned, kLeastEnd after the
  /// deadline at most: the process should end then, since the thread cannot.
  /// @return false: something could not be written by then
  bool close(Clock::time_point deadline);

 private:
  class Loop;

  // The thread has it too, for it may outlive this object: a disk that does not answer cannot be interrupted.
  const std::shared_ptr<Loop> loop_;
  std::thread thread_;
};

}  // namespace gatehouse
