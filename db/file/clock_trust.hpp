// How far the system's clock is to be believed where something follows that cannot be undone: rows that are deleted,
// quotas that begin anew. A clock that is far ahead of the time that was seen last is doubted until it has stood for a
// day, or the kernel says that it is synchronised. One thread an object.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace gatehouse::db {

/// Does the kernel say so (adjtimex(2), without STA_UNSYNC)?
[[nodiscard]] bool clock_is_synchronised() noexcept;
/// What tests may put in its place.
using SyncState = bool (*)() noexcept;

/// One look at the clock, in Unix seconds.
struct ClockReading {
  std::int64_t now = 0;       ///< what it says
  std::int64_t believed = 0;  ///< what to go by where something follows that cannot be undone
  [[nodiscard]] bool is_doubted() const noexcept { return now != believed; }
};

class ClockTrust {
 public:
  using Steady = std::chrono::steady_clock;
  static constexpr std::chrono::hours kFar{24};       ///< ahead of what is expected
  static constexpr std::chrono::hours kStanding{24};  ///< until it is believed all the same

  /// @param seen  the last time that was believed, in Unix seconds; 0 = none was, and the first one will be
  explicit ClockTrust(std::int64_t seen, Steady::time_point at = Steady::now()) noexcept : seen_(seen), at_(at) {}

  /// The time to go by, in Unix seconds: `now`, or while that is doubted, what was seen last and the time since. A
  /// clock that goes back is believed at once: that makes nothing older.
  [[nodiscard]] std::int64_t believed(std::int64_t now, bool is_synchronised,
                                      Steady::time_point at = Steady::now()) noexcept;
  /// Was the last one doubted?
  [[nodiscard]] bool doubts() const noexcept { return doubt_.has_value(); }

 private:
  struct Doubt {
    std::int64_t now = 0;
    Steady::time_point since;
  };
  std::int64_t seen_;
  Steady::time_point at_;
  std::optional<Doubt> doubt_;
};

}  // namespace gatehouse::db
