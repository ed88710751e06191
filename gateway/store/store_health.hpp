// How well the store can be written, and who hears of it: those who wait, the log, `status`.
#pragma once

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

/// Called on the writer's thread or in StoreWriter::watch(), with no lock held that a lane may want. They must not
/// throw, and not call the writer.
struct StoreEvents {
  /// One sentence for the log: `bad` when something needs a person.
  std::function<void(bool bad, const std::string& sentence)> said;
  /// Nothing can be written, under OnStoreFailure::stop: once.
  std::function<void()> stop;
};

/// Thread-safe. A store fails when it refuses a write, and when it does not return for kPatience: both are told and
/// acted upon alike.
class StoreHealth {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::seconds kPatience{2};  ///< with a call to the store that does not return

  StoreHealth(std::shared_ptr<Durability> durability, StoreEvents events);

  // ---- the writer
  /// A call to the store begins; one of the next three ends it.
  void begin();
  void written(std::size_t rows);
  /// `for_good` false: it is only busy so far.
  void failed(bool for_good, const std::string& why);
  /// It was no write. `why`: what went wrong, or "".
  void returned(const std::string& why);
  /// What waits to be written.
  struct Backlog {
    std::uint64_t rows = 0, forgotten = 0;
    std::optional<Clock::time_point> oldest;
  };
  void publish(const Backlog& backlog);
  void say(bool bad, const std::string& sentence) const;

  // ---- the control thread
  /// Is there a call that has not returned for so long? To be called every second or so.
  void watch(Clock::duration patience = kPatience);
  [[nodiscard]] StoreStatus status() const;
  /// Returns when no event is under way any more; none comes after it.
  void silence();

 private:
  void settle();

  const std::shared_ptr<Durability> durability_;
  const StoreEvents events_;

  mutable std::mutex telling_;  // held while somebody is told, so that news come in their order; taken first
  bool is_heard_ = true;        // guarded by telling_, as is the next one
  bool told_stop_ = false;

  mutable std::mutex mutex_;  // guards what follows
  StoreStatus status_;
  std::optional<Clock::time_point> oldest_;   // of the rows that wait
  std::optional<Clock::time_point> calling_;  // the store, since when
  bool refused_ = false;                      // the last write
  bool stalled_ = false;                      // the call under way has used up our patience
};

}  // namespace gatehouse
