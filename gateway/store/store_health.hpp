// Can the store be written? Reports the answer to those who wait for it, to the log and to `status`.
#pragma once

#include "db/store/store.hpp"
#include "gateway/base/log_message.hpp"
#include "gateway/store/durability.hpp"
#include "gateway/store/store_status.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace gatehouse {

/// Called on the writer's thread or in StoreWriter::watch(), with no lock held that a lane may take. They must not
/// throw, and not call the writer.
struct StoreEvents {
  LogSink log;
  /// Called once, when nothing can be written and OnStoreFailure is stop.
  std::function<void()> stop;
};

/// Thread-safe. A store fails when it refuses a write, and when a call does not return within kPatience: both have the
/// same consequences.
class StoreHealth {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::seconds kPatience{2};  ///< with a call to the store that does not return

  StoreHealth(std::shared_ptr<Durability> durability, StoreEvents events);

  // ---- the writer
  /// A call to the store begins; written(), failed() or returned() ends it.
  void begin();
  void written(std::size_t rows);
  /// @param for_good  false: the file is only locked so far, and the write is tried again
  void failed(bool for_good, const std::string& why);
  /// The call was no write. `why`: what went wrong, or "".
  void returned(const std::string& why);
  /// What waits to be written, or does not any more.
  struct Backlog {
    std::uint64_t rows = 0, forgotten = 0, aside = 0, displaced = 0;
    std::optional<Clock::time_point> oldest;
  };
  void publish(const Backlog& backlog);
  /// The store cannot take a row. Logs at most one of them a minute.
  void set_aside(const db::RefusedRow& row);
  /// See db::Store::excess(). Logs what is new.
  void set_excess(const std::string& sentence);
  /// Logs a warning.
  void warn(const std::string& sentence) const;

  // ---- the control thread
  /// Checks for a call that has not returned for so long. To be called every second or so.
  void watch(Clock::duration patience = kPatience);
  [[nodiscard]] StoreStatus status() const;
  /// Waits for an event that is under way; there is none after it.
  void silence();

 private:
  void report_state();

  const std::shared_ptr<Durability> durability_;
  const StoreEvents events_;

  mutable std::mutex reporting_;  // guards the next two; held during events, which keeps their order; locked first
  bool is_silent_ = false;
  bool has_stopped_ = false;  // events_.stop was called

  mutable std::mutex mutex_;  // guards what follows
  StoreStatus status_;
  std::optional<Clock::time_point> oldest_;   // of the rows that wait
  std::optional<Clock::time_point> calling_;  // the store, since when
  std::optional<Clock::time_point> aside_logged_;
  std::uint64_t aside_unlogged_ = 0;  // rows, since then
  bool refused_ = false;              // the last write
  bool stalled_ = false;              // the call under way has used up our patience
};

}  // namespace gatehouse
