#include "db/store/rows/retention.hpp"

#include "policy/month.hpp"

#include <algorithm>
#include <limits>
#include <string>

namespace gatehouse::db {
namespace {

constexpr std::int64_t kSecondsOfDay = 86'400;
constexpr std::int64_t kRows = 200;        // of a step; with blobs of 4 KiB some ms
constexpr std::int64_t kSmallShare = 64;   // rows that nobody loses for others' while somebody has more
constexpr std::int64_t kPart = 16;         // one in so many of the largest share's rows go before others are looked at
constexpr std::int64_t kPages = 64;        // given back in a step
constexpr std::int64_t kFreePages = 1024;  // 4 MiB: less is left for the next rows

std::int64_t number(Database& state, std::string_view sql, std::int64_t bound) {
  Statement statement = state.prepare(sql);
  statement.bind(1, bound);
  return statement.step() ? statement.integer(0) : 0;
}

/// How many rows the last statement deleted.
std::int64_t deleted(Database& state) { return state.number("SELECT changes()"); }

/// @return how many rows went
std::int64_t remove(Database& state, std::string_view sql, std::int64_t bound, std::int64_t rows = kRows) {
  Statement statement = state.prepare(sql);
  statement.bind(1, bound);
  statement.bind(2, rows);
  statement.run();
  return deleted(state);
}

constexpr std::string_view kDeleteOldest =
    "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE ended_at < ?1 ORDER BY ended_at LIMIT ?2)";
constexpr std::string_view kDeleteOldestOfLargest =
    "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions INDEXED BY sessions_by_share WHERE ended_at IS NOT NULL "
    "AND share = (SELECT share FROM shares ORDER BY ended DESC LIMIT 1) ORDER BY ended_at LIMIT ?1)";
/// It has no such rows, for somebody has changed the table.
constexpr std::string_view kForgetLargest =
    "DELETE FROM shares WHERE share = (SELECT share FROM shares ORDER BY ended DESC LIMIT 1)";

}  // namespace

std::int64_t first_of_month(std::int64_t now) noexcept { return policy::first_day_of_month(now / kSecondsOfDay); }

std::int64_t RetentionWork::ended_before(std::int64_t now) const noexcept {
  return now - retention_.days * kSecondsOfDay;
}

std::int64_t RetentionWork::used_before(std::int64_t now) const noexcept {
  return std::min(now / kSecondsOfDay - retention_.days, first_of_month(now));
}

/// By all rows, live ones too.
std::uint64_t RetentionWork::used_bytes(Database& state) const {
  const std::int64_t pages = state.number("PRAGMA page_count") - state.number("PRAGMA freelist_count");
  return static_cast<std::uint64_t>(pages * state.number("PRAGMA page_size"));
}

/// Does it hold more than it may, and is there anything that can go?
bool RetentionWork::is_too_large(Database& state) const {
  return used_bytes(state) > retention_.most_bytes &&
         state.number("SELECT EXISTS (SELECT 1 FROM sessions WHERE ended_at IS NOT NULL)") != 0;
}

std::string RetentionWork::excess(Database& state) const {
  const std::uint64_t bytes = used_bytes(state);
  if (bytes <= retention_.most_bytes) return {};
  return "live sessions, leases and usage alone fill " + std::to_string(bytes) + " bytes of " + state.path().string() +
         ", more than `max_bytes` of [store] (" + std::to_string(retention_.most_bytes) +
         "): raise it, or end sessions sooner by `session_idle_seconds` of traffic_rules";
}

/// So much that rows will not need it soon, or that the file is larger than it may be?
bool RetentionWork::has_much_free(Database& state) const {
  constexpr std::int64_t kIncremental = 2;  // a file that was made anew by other tools can give nothing back
  if (state.number("PRAGMA auto_vacuum") != kIncremental) return false;
  const std::int64_t free = state.number("PRAGMA freelist_count");
  const std::int64_t pages = state.number("PRAGMA page_count");
  const std::int64_t bytes = pages * state.number("PRAGMA page_size");
  return (free > kFreePages && free > pages / 4) ||
         (free >= kPages && static_cast<std::uint64_t>(bytes) > retention_.most_bytes);
}

bool RetentionWork::is_due(Database& state, std::int64_t now) const {
  return number(state, "SELECT EXISTS (SELECT 1 FROM sessions WHERE ended_at < ?1)", ended_before(now)) != 0 ||
         number(state, "SELECT EXISTS (SELECT 1 FROM usage WHERE day < ?1)", used_before(now)) != 0 ||
         is_too_large(state) || has_much_free(state);
}

/// Whoever has most loses the oldest first, so that nobody pushes out the history of others; where all have few, the
/// oldest of all go. @return how many rows went
std::int64_t RetentionWork::delete_largest_shares(Database& state) {
  std::int64_t gone = 0;
  for (std::int64_t left = kRows; left > 0;) {
    const std::int64_t largest = state.number("SELECT max(ended) FROM shares");
    if (largest <= kSmallShare)
      return gone + remove(state, kDeleteOldest, std::numeric_limits<std::int64_t>::max(), left);
    const std::int64_t part = std::min(left, largest / kPart);
    Statement statement = state.prepare(kDeleteOldestOfLargest);
    statement.bind(1, part);
    statement.run();
    if (deleted(state) == 0) state.run(kForgetLargest);
    gone += deleted(state);
    left -= part;
  }
  return gone;
}

bool RetentionWork::do_some(Database& state, std::int64_t now) const {
  std::int64_t gone = remove(state, kDeleteOldest, ended_before(now));
  if (is_too_large(state)) gone += delete_largest_shares(state);
  gone += remove(state,
                 "DELETE FROM usage WHERE (day, plugin, identity, group_name) IN "
                 "(SELECT day, plugin, identity, group_name FROM usage WHERE day < ?1 LIMIT ?2)",
                 used_before(now));
  if (has_much_free(state)) {
    const std::int64_t free = state.number("PRAGMA freelist_count");
    state.run("PRAGMA incremental_vacuum(" + std::to_string(kPages) + ")");
    gone += free - state.number("PRAGMA freelist_count");
  }
  return gone > 0;
}

}  // namespace gatehouse::db
