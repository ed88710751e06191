// Records as rows of the store's tables: prepared statements that write them, and how a row is read. One thread's, with
// the connection that they belong to.
#pragma once

#include "db/sqlite.hpp"
#include "db/store/store.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace gatehouse::db {

inline constexpr unsigned kSlots = 4096;

/// The slot of a session, so that gateways can share ranges of resources out later: the first 12 bits of the SHA-256 of
/// the plugin and the resource that it holds. One that holds none goes by identity and key, which together are its own:
/// keys of identified clients may be short and common. About 0.3 us.
/// @throws std::runtime_error when libcrypto cannot do it
[[nodiscard]] unsigned slot_of(const SessionRecord& session);

/// Text that others chose, as a value of a row: TEXT where it is UTF-8 without a NUL, so that people can read it and no
/// tool stumbles over it, else a BLOB. The bytes are the same. Borrowed until the statement has run.
void bind_bytes(Statement& statement, int parameter, std::string_view bytes);

/// A time, or a day. What others have written there may be any number: one that is too far away is brought so near that
/// the sum and the difference of two are numbers, too.
[[nodiscard]] std::int64_t time_of(const Statement& row, int column) noexcept;

/// The columns that the functions below read, in order.
inline constexpr std::string_view kSessionColumns =
    "id, plugin, key, identity, group_name, source, created_at, last_seen_at, ended_at, bytes_up, bytes_down, "
    "packets_up, packets_down, blob_version, blob, expires_at";
inline constexpr std::string_view kLeaseColumns = "plugin, resource, session_id, granted_at, expires_at";
inline constexpr std::string_view kUsageColumns =
    "day, plugin, identity, group_name, bytes_up, bytes_down, packets_up, packets_down";

[[nodiscard]] SessionRecord session_of(const Statement& row);
[[nodiscard]] LeaseRecord lease_of(const Statement& row);
[[nodiscard]] UsageRecord usage_of(const Statement& row);

/// Of commits and sessions, as `epoch` has it: 0 in place of one that nobody can go on from.
[[nodiscard]] std::uint64_t sound_number(std::int64_t found) noexcept;

/// The row of `epoch`.
struct Epoch {
  std::uint64_t n = 0, store_id = 0;
  std::string boot_id;
  bool clean = true;
  std::int64_t unsure_until = 0;
  std::uint64_t last_session_id = 0;
  std::uint64_t secrets_n = 0;  ///< the last commit that wrote to secrets.db too
};
[[nodiscard]] Epoch read_epoch(Database& database);
/// The last time that was believed, in Unix seconds; 0 = none. Of a file of the newest version.
[[nodiscard]] std::int64_t read_seen_at(Database& database);

/// What writes to state.db. Each call is one row, whole. @throws SqliteError
class StateRows {
 public:
  explicit StateRows(Database& database);

  /// @param was_ended  the file may have it as ended although it is live: else a live one costs no entry of an index
  void put(const SessionRecord& session, bool was_ended);
  void put(const LeaseRecord& lease);
  /// Is there a session of that number?
  [[nodiscard]] bool has_session(std::uint64_t session);
  void remove(const LeaseKey& lease);
  void put(const UsageRecord& usage);
  /// Each commit ends with it. `last_session_id` and `secrets_n` never fall.
  /// @param seen_at  the time, as far as it is believed (db/file/clock_trust.hpp)
  void put_commit(std::uint64_t n, std::uint64_t last_session_id, std::uint64_t secrets_n, std::int64_t seen_at);

 private:
  Statement put_live_session_, put_session_, has_session_, put_lease_, remove_lease_, put_usage_, put_commit_;
};

/// What writes to a table plugin_values: state.db's or secrets.db's. @throws SqliteError
class ValueRows {
 public:
  explicit ValueRows(Database& database);

  void put(const ValueKey& key, const ByteString& value, std::uint64_t written);
  void remove(const ValueKey& key);
  [[nodiscard]] bool has(const ValueKey& key);
  /// Commits are missing: each value may have been another one, until it is put again. `written` is negative then.
  void doubt_all();

  struct Row {
    ValueRecord record;
    std::uint64_t written = 0;
  };
  [[nodiscard]] std::vector<Row> all(bool secret);

 private:
  Statement put_, remove_, has_, doubt_all_, all_;
};

}  // namespace gatehouse::db
