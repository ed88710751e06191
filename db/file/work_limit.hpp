// What reading a database that anybody may have written may cost. One thread's, that of the connection.
#pragma once

#include "db/sqlite.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>

namespace gatehouse::db {

/// From now on no value, and no statement of the schema, can be longer: SQLITE_TOOBIG, before it is read into memory.
/// Patterns of LIKE and GLOB have 100 bytes at most.
void limit_values(Database& database, std::size_t bytes) noexcept;
/// Is that what went wrong?
[[nodiscard]] bool is_too_big(const SqliteError& error) noexcept;

/// As long as it lives, the connection's statements give up (SQLITE_INTERRUPT) when the time is over, or when somebody
/// wants to stop.
class WorkLimit {
 public:
  /// @param stop  set by another thread; may be null; lives as long as this
  WorkLimit(Database& database, std::chrono::milliseconds time, const std::atomic<bool>* stop) noexcept;
  ~WorkLimit();
  WorkLimit(const WorkLimit&) = delete;
  WorkLimit& operator=(const WorkLimit&) = delete;

  /// The time is over, or somebody wants to stop.
  [[nodiscard]] bool is_over() const noexcept;

 private:
  using Clock = std::chrono::steady_clock;
  Database& database_;
  const Clock::time_point end_;
  const std::atomic<bool>* const stop_;
};

}  // namespace gatehouse::db
