#include "db/file/work_limit.hpp"

#include <sqlite3.h>

namespace gatehouse::db {
namespace {

constexpr int kSteps = 100;    // of SQLite's machine between two questions: microseconds, unless values are long
constexpr int kPattern = 100;  // bytes: matching one against a long value is one step of the machine

}  // namespace

void limit_values(Database& database, std::size_t bytes) noexcept {
  sqlite3_limit(database.handle(), SQLITE_LIMIT_LENGTH, static_cast<int>(bytes));
  sqlite3_limit(database.handle(), SQLITE_LIMIT_LIKE_PATTERN_LENGTH, kPattern);
}

bool is_too_big(const SqliteError& error) noexcept { return (error.code() & 0xff) == SQLITE_TOOBIG; }

WorkLimit::WorkLimit(Database& database, std::chrono::milliseconds time, const std::atomic<bool>* stop) noexcept
    : database_(database), end_(Clock::now() + time), stop_(stop) {
  sqlite3_progress_handler(
      database_.handle(), kSteps, [](void* self) { return static_cast<WorkLimit*>(self)->is_over() ? 1 : 0; }, this);
}

WorkLimit::~WorkLimit() { sqlite3_progress_handler(database_.handle(), 0, nullptr, nullptr); }

bool WorkLimit::is_over() const noexcept {
  return (stop_ != nullptr && stop_->load(std::memory_order_relaxed)) || Clock::now() >= end_;
}

}  // namespace gatehouse::db
