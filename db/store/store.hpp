// What survives the process: sessions, leases, usage and plugins' values. `Store` is one place to keep them; SQLite
// files are the one that there is. Everything here blocks and belongs to one thread, the store's writer.
#pragma once

#include "db/file/clock_trust.hpp"

#include <gatehouse/base/address.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

namespace gatehouse::db {

using ByteString = std::vector<std::uint8_t>;

/// Totals since the session or the day began.
struct TrafficTotals {
  std::uint64_t bytes_up = 0, bytes_down = 0, packets_up = 0, packets_down = 0;
  bool operator==(const TrafficTotals&) const = default;
};

/// A row of `sessions`. Times are Unix seconds.
struct SessionRecord {
  std::uint64_t id = 0;
  std::string plugin;
  std::string key;  ///< as the client gave it, the SHA-256 of an anonymous one's, or "" of a session without
  std::string identity, group_name;
  Endpoint source;
  std::int64_t created_at = 0, last_seen_at = 0;
  std::optional<std::int64_t> ended_at;
  TrafficTotals totals;
  std::uint32_t blob_version = 0;
  std::shared_ptr<const ByteString> blob;  ///< or null
  std::int64_t expires_at = 0;             ///< when it ends by itself; 0 = never
  std::string resource;  ///< one that it holds, for its slot; written, not loaded: leases have them all
};

struct LeaseKey {
  std::string plugin, resource;
  auto operator<=>(const LeaseKey&) const = default;
};

/// A row of `leases`.
struct LeaseRecord {
  LeaseKey key;
  std::uint64_t session = 0;
  std::int64_t granted_at = 0;
  std::int64_t expires_at = 0;  ///< 0 = with its session
};

struct UsageKey {
  std::int64_t day = 0;  ///< since 1970, UTC
  std::string plugin;
  /// Who, or of clients without an identity the address that their quota goes by, or "" where no quota is theirs.
  std::string identity;
  std::string group_name;
  auto operator<=>(const UsageKey&) const = default;
};

/// A row of `usage`: totals of the day, not what is to be added.
struct UsageRecord {
  UsageKey key;
  TrafficTotals totals;
};

struct ValueKey {
  std::string plugin, name;
  auto operator<=>(const ValueKey&) const = default;
};

/// A row of `plugin_values`, in secrets.db if it is secret. Without a value it is removed, from both files.
struct ValueRecord {
  ValueKey key;
  bool secret = false;
  std::optional<ByteString> value;
  bool is_doubtful = false;  ///< loaded: commits are missing, and it may have been another one since
};

/// What one commit writes. Each record is the whole row and replaces the former one, so that a batch may be written
/// again when nobody knows whether it was.
struct StoreBatch {
  std::vector<SessionRecord> sessions{};
  std::vector<LeaseRecord> leases{};
  std::vector<LeaseKey> released{};
  std::vector<UsageRecord> usage{};
  std::vector<ValueRecord> values{};

  [[nodiscard]] std::size_t rows() const noexcept {
    return sessions.size() + leases.size() + released.size() + usage.size() + values.size();
  }
};

/// A row that the store cannot take, whatever the state of its disk: a constraint, a trigger or a size refuses it.
struct RefusedRow {
  std::variant<std::uint64_t, LeaseKey, UsageKey, ValueKey> row;  ///< a session by its number
  std::string why;                                                ///< SQLite's sentence
};
/// "the row of sessions with id 4711".
[[nodiscard]] std::string name_of(const RefusedRow& refused);

/// Sessions and commits are numbered up to it; a higher number was written by somebody else. A start in disorder skips
/// 2^44 of those of sessions, so that they last for 2^18 such starts.
inline constexpr std::uint64_t kLastNumber = std::uint64_t{1} << 62U;

/// Everything that is remembered at a start.
struct StoredState {
  std::vector<SessionRecord> sessions;  ///< that have not ended
  std::vector<LeaseRecord> leases;      ///< live ones
  std::vector<UsageRecord> usage;       ///< since the first of this month
  std::vector<ValueRecord> values;
  bool lacks_values = false;          ///< commits are missing: a value that is not here may have been there
  std::uint64_t last_session_id = 0;  ///< no higher one was ever used
};

/// What the opening came to, for the log and `status`.
struct StoreOpening {
  bool created = false;
  bool clean = true;                         ///< the last process ended in an orderly way
  std::int64_t from_version = 0;             ///< of the schema, before a migration
  std::filesystem::path backup;              ///< made before the migration, or ""
  std::vector<std::filesystem::path> moved;  ///< broken files, where they are now; nothing is ever deleted
  std::vector<std::string> remarks;          ///< sentences about whatever else is not as it should be
  /// Commits that had been acknowledged are missing: the write-ahead log was cut off or taken away, or the file is an
  /// older copy. Leases that nobody remembers may be live until this time (Unix seconds); 0 = nothing is missing.
  std::int64_t unsure_until = 0;
};

/// Why something could not be written, as a sentence. Everything may be tried again.
class StoreError : public std::runtime_error {
 public:
  enum class Kind { full, read_only, busy, io, missing, corrupt };
  StoreError(Kind kind, const std::string& sentence) : std::runtime_error(sentence), kind_(kind) {}
  [[nodiscard]] Kind kind() const noexcept { return kind_; }

 private:
  Kind kind_;
};

/// Where the rows of ended sessions and of usage stop.
struct Retention {
  std::int64_t days = 30;                  ///< ended sessions and usage of older days are deleted
  std::uint64_t most_bytes = 1ULL << 30U;  ///< of state.db, all rows; ended sessions go, of the largest share first
};

/// One thread's.
class Store {
 public:
  enum class Written {
    done,  ///< and durable
    /// Nothing was written: the file is another one than before (it was replaced, removed, or broken and moved aside),
    /// and is now open and empty or old. Write everything that is live, then go on.
    start_over,
  };

  virtual ~Store() = default;

  /// Whatever is moved or remarked later is added to the end of these lists.
  [[nodiscard]] virtual const StoreOpening& opening() const noexcept = 0;
  /// @param now  Unix seconds: leases that were over by then, as far as it is believed, are left out, and sessions that
  ///             end with their stream are marked as ended. @throws StoreError
  [[nodiscard]] virtual StoredState load(std::int64_t now) = 0;
  /// All of it in one commit, or nothing; but for rows that it cannot take, see take_refused(), and on a full disk what
  /// it ends and releases, which makes room, may be written alone. @throws StoreError
  [[nodiscard]] virtual Written write(const StoreBatch& batch) = 0;
  /// The rows of the last write() that was done which it left out; the next call has none of them.
  [[nodiscard]] virtual std::vector<RefusedRow> take_refused() { return {}; }
  /// A few ms of upkeep when nothing else is to be done: checkpoint, retention, ballast.
  /// @return how soon it wants to be called again; zero: at once
  /// @throws StoreError
  virtual std::chrono::milliseconds upkeep(std::int64_t now) = 0;
  /// Gives back the memory that it has for speed alone.
  virtual void release_memory() noexcept {}
  /// Does something have to be written for the sake of the files themselves, which were replaced, removed, or left
  /// after an error? Then the next write(), of an empty batch if there is no other, sees to that. Some stat().
  [[nodiscard]] virtual bool needs_write() const noexcept { return false; }
  /// The time to go by, of `now` in Unix seconds, where something follows that cannot be undone.
  [[nodiscard]] virtual std::int64_t believed(std::int64_t now) { return now; }
  /// A sentence while it holds more than Retention::most_bytes and nothing of that can be deleted; else "". As the last
  /// upkeep() found it.
  [[nodiscard]] virtual std::string excess() const { return {}; }
  /// From now on, for upkeep().
  virtual void set_retention(const Retention&) {}
  /// The end is near and the disk is full: what was kept free for deletions may be used up by the last writes.
  virtual void use_reserve() noexcept = 0;
  /// The end of an orderly life: everything moves into the file, and the next start finds it clean. @throws StoreError
  virtual void close() = 0;
};

/// Gets a sentence for the log.
using Said = std::function<void(const std::string&)>;

/// Has somebody else put something in the place of `state_db`, secrets.db beside it, their locks or the epoch?
/// @return a sentence, or "" @throws FileError, std::runtime_error  as secrets_beside()
[[nodiscard]] std::string why_not_own_store(const std::filesystem::path& state_db);

/// `state_db` and secrets.db beside it, made or migrated as needed, locked against a second gateway. Waits up to ten
/// seconds for a program that holds a file locked, and says so once; so does load().
/// @throws std::runtime_error  a sentence: another gateway has it, and which process; or a newer schema
///         StoreError  the files can be neither opened nor made
[[nodiscard]] std::unique_ptr<Store> open_sqlite_store(const std::filesystem::path& state_db,
                                                       const Retention& retention, Said said = {},
                                                       SyncState is_synchronised = &clock_is_synchronised);

/// Keeps nothing: `[store] url = "memory:"`.
[[nodiscard]] std::unique_ptr<Store> open_memory_store();

}  // namespace gatehouse::db
