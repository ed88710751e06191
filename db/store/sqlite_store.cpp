#include "db/store/sqlite_store.hpp"

#include "db/file/own_database.hpp"
#include "db/file/paths.hpp"
#include "db/store/failure.hpp"
#include "db/store/files/set_aside.hpp"
#include "db/store/rows/state_load.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <thread>
#include <utility>

namespace gatehouse::db {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint64_t kLogToMove = 8U << 20U;  // bytes: then upkeep() moves the log into the file
constexpr std::uint64_t kLogToCut = 64U << 20U;  // then it is cut off too, and write() does not wait for upkeep()
constexpr std::uint64_t kLogToMoveInNeed = 512U << 10U;  // on a disk that has less than this left:
constexpr std::uint64_t kNeed = 16U << 20U;
constexpr seconds kIdle{1};            // without a write: a good time for that
constexpr seconds kBlocked{1};         // until it is tried again when somebody still reads
constexpr seconds kNothingToDo{10};    // and then it is seen whether the files are still there
constexpr seconds kStartPatience{10};  // with somebody else's lock
constexpr milliseconds kStartPause{50};
std::int64_t unix_now() {
  return std::chrono::duration_cast<seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

/// A trigger has refused a row and undone all that was written before it.
struct RolledBack {};

/// Does `task`, again without the row as often as that happens.
template <class Task>
std::invoke_result_t<Task> without_refused(Task task) {
  for (;;) {
    try {
      return task();
    } catch (const RolledBack&) {
    }
  }
}

/// A row that a trigger keeps stays.
template <class Remove>
void try_to_remove(Remove remove) {
  try {
    remove();
  } catch (const SqliteError& error) {
    if (!error.is_of_row()) throw;
  }
}

void run(Database& database, std::string_view sql, std::int64_t bound) {
  Statement statement = database.prepare(sql);
  statement.bind(1, bound);
  statement.run();
}

}  // namespace

SqliteStore::SqliteStore(const std::filesystem::path& state_db, const Retention& retention, Said said,
                         SyncState is_synchronised)
    : said_(std::move(said)),
      is_synchronised_(is_synchronised),
      path_(resolved(state_db)),
      secrets_path_(secrets_beside(path_)),
      lock_(beside(path_, ".lock"), path_),
      secrets_lock_(beside(secrets_path_, ".lock"), secrets_path_),
      recovery_(path_),
      ballast_(beside(path_, ".ballast")),
      retention_(retention) {
  patiently([this] { ensure_open(); });
  recovery_.tell_of_mark(opening_);
  ballast_.restore();
}

/// Runs `task`, again after what can be remedied. @throws StoreError
template <class Task>
std::invoke_result_t<Task> SqliteStore::with_files(Reserve reserve, Task task) {
  try {
    for (int attempt = 0;; ++attempt) {
      try {
        return task();
      } catch (const SqliteError& error) {
        if (!remedy(error, attempt, reserve)) throw store_error(error);
      }
    }
  } catch (const StoreError&) {
    throw;
  } catch (const FileError& error) {
    throw store_error(error);
  } catch (const std::filesystem::filesystem_error& error) {
    throw store_error(error.path1(), error.code().value());
  } catch (const std::runtime_error& error) {  // the file is none of ours, or of a newer version
    if (phase_ == Phase::starting) throw;
    throw StoreError(StoreError::Kind::corrupt, error.what());
  }
}

/// At a start there is nobody yet who goes on from memory: a lock that passes is waited for. @throws StoreError
template <class Task>
std::invoke_result_t<Task> SqliteStore::patiently(Task task) {
  const Clock::time_point end = Clock::now() + kStartPatience;
  for (bool has_said = false;; has_said = true) {
    std::string locked;
    try {
      return with_files(Reserve::use, task);
    } catch (const StoreError& error) {
      if (error.kind() != StoreError::Kind::busy) throw;
      locked = error.what();
    }
    if (Clock::now() >= end)
      throw StoreError(StoreError::Kind::busy, path_.string() + " or secrets.db beside it has been locked by another " +
                                                   "program for " + std::to_string(kStartPatience.count()) +
                                                   " s, perhaps a sqlite3 shell inside a transaction: end that, then " +
                                                   "start the gateway again");
    if (!has_said && said_) said_("waiting up to " + std::to_string(kStartPatience.count()) + " s: " + locked);
    std::this_thread::sleep_for(kStartPause);
  }
}

/// @return true: the same may go well now
bool SqliteStore::remedy(const SqliteError& error, int attempt, Reserve reserve) {
  const int code = error.code() & 0xff;
  const StoreError::Kind kind = store_error(error).kind();
  if (kind == StoreError::Kind::busy || error.is_of_row()) return false;
  if (error.is_corrupt() || code == SQLITE_ERROR) {  // or somebody has changed the schema
    files_.reset();
    if (attempt == 1) set_aside(error.file(), opening_.moved);  // it was opened anew, and the check has found nothing
    return attempt < 2;
  }
  if (code != SQLITE_FULL) {
    files_.reset();
    recovery_.doubt_log();
  }
  if (kind != StoreError::Kind::full) return false;
  return (attempt == 0 && reuse_log()) || (attempt < 2 && reserve == Reserve::use && ballast_.release());
}

/// A log that has moved into the file gives its room back. The move itself may need the reserve's for a moment.
bool SqliteStore::reuse_log() noexcept {
  if (!files_ || files_->state.log_bytes() == 0) return false;
  const bool had_reserve = ballast_.release();
  try {
    const bool whole = recovery_.checkpoint(*files_, Database::Checkpoint::truncate);
    if (had_reserve) ballast_.restore(0);
    return whole;
  } catch (const SqliteError& error) {
    if (had_reserve) ballast_.restore(0);
    if ((error.code() & 0xff) == SQLITE_FULL) return false;
    files_.reset();
    recovery_.doubt_log();
    return false;
  }
}

void SqliteStore::ensure_open() {
  if (files_ && !files_->are_current()) leave_files();
  if (!files_) open_files();
}

void SqliteStore::leave_files() {
  const bool has_foreign_log = files_->state.part(), has_foreign_secrets_log = files_->secrets.part();
  files_.reset();
  if (has_foreign_log) set_log_aside(path_, opening_.moved);
  if (has_foreign_secrets_log) set_log_aside(secrets_path_, opening_.moved);
}

void SqliteStore::open_files() {
  recovery_.part_log_from_older_copy(opening_);
  try {
    files_.emplace(path_, secrets_path_, opening_);
    if (!trust_) trust_.emplace(read_seen_at(files_->state.database()));
    const Recovery::Finding found = recovery_.look(*files_, opening_, reading());
    const bool starting = phase_ == Phase::starting;
    if (!starting && found.is_loss()) phase_ = Phase::owing;  // whatever becomes of this opening
    recovery_.begin(*files_, found, starting ? Recovery::Truth::files : Recovery::Truth::memory);
    if (starting) recovery_.tell(*files_, found, opening_);
  } catch (...) {
    files_.reset();
    throw;
  }
}

/// All that `change` does, as one commit with the next number.
template <class Change>
void SqliteStore::commit(const Traces& traces, Change change) {
  Transaction transaction(files_->state.database(), Transaction::Kind::immediate);
  change();
  files_->rows.put_commit(recovery_.next_commit(), traces.last_session_id, traces.secrets_n, believed(unix_now()));
  transaction.commit();
  recovery_.committed();
  last_write_ = Clock::now();
}

void SqliteStore::commit_batch(const StoreBatch& batch) {
  Traces traces;
  if (put_secrets(batch)) traces.secrets_n = recovery_.next_commit();
  const ClockReading time = reading();
  for (const LeaseRecord& lease : batch.leases) recovery_.expect_lease(lease.expires_at, time);
  for (const SessionRecord& session : batch.sessions)
    traces.last_session_id = std::max(traces.last_session_id, session.id);
  commit(traces, [&] {
    Database& state = files_->state.database();
    StateRows& rows = files_->rows;
    for (const SessionRecord& session : batch.sessions)
      put_row(state, session.id, [&] { rows.put(session, recovery_.may_be_ended()); });
    for (const LeaseKey& lease : batch.released) put_row(state, lease, [&] { rows.remove(lease); });
    for (const LeaseRecord& lease : batch.leases) put_lease(lease);
    for (const UsageRecord& usage : batch.usage) put_row(state, usage.key, [&] { rows.put(usage); });
    for (const ValueRecord& value : batch.values) {
      put_row(state, value.key, [&] {
        if (value.value && !value.secret) {
          files_->values.put(value.key, *value.value, recovery_.next_commit());
        } else {
          files_->values.remove(value.key);
        }
      });
    }
  });
  remove_former_secrets(batch);
}

/// A start forgets the lease of a session that it does not find: that of one that was refused, now or before, must not
/// be taken for durable.
void SqliteStore::put_lease(const LeaseRecord& lease) {
  if (is_refused(lease.key)) return;
  if (files_->rows.has_session(lease.session)) {
    put_row(files_->state.database(), lease.key, [&] { files_->rows.put(lease); });
  } else {
    refused_.push_back(
        {lease.key, "the row of its session, " + std::to_string(lease.session) + ", could not be written"});
  }
}

/// @return was there anything to write?
bool SqliteStore::put_secrets(const StoreBatch& batch) {
  ValueRows& secrets = files_->secret_values;
  const auto concerns = [&](const ValueRecord& value) { return value.value ? value.secret : secrets.has(value.key); };
  if (std::none_of(batch.values.begin(), batch.values.end(), concerns)) return false;
  const std::uint64_t n = recovery_.next_commit();
  Transaction transaction(files_->secrets.database(), Transaction::Kind::immediate);
  for (const ValueRecord& value : batch.values) {
    put_row(files_->secrets.database(), value.key, [&] {
      if (!value.value) {
        secrets.remove(value.key);
      } else if (value.secret) {
        secrets.put(value.key, *value.value, n);
      }
    });
  }
  run(files_->secrets.database(), "UPDATE epoch SET n = ?1", static_cast<std::int64_t>(n));
  transaction.commit();
  return true;
}

/// Values that are secret no more, once they stand in state.db: one that was refused there is all that is left of it.
void SqliteStore::remove_former_secrets(const StoreBatch& batch) {
  ValueRows& secrets = files_->secret_values;
  const auto concerns = [&](const ValueRecord& value) {
    return value.value && !value.secret && !is_refused(value.key) && secrets.has(value.key);
  };
  if (std::none_of(batch.values.begin(), batch.values.end(), concerns)) return;
  Transaction transaction(files_->secrets.database(), Transaction::Kind::immediate);
  for (const ValueRecord& value : batch.values) {
    if (concerns(value)) put_row(files_->secrets.database(), value.key, [&] { secrets.remove(value.key); });
  }
  transaction.commit();
}

Store::Written SqliteStore::write(const StoreBatch& batch) {
  refused_.clear();
  const auto task = [&] { return without_refused([&] { return try_write(batch); }); };
  try {
    return with_files(reserve_, task);
  } catch (const StoreError& error) {
    if (error.kind() != StoreError::Kind::full || !make_room(batch)) throw;
  }
  return with_files(Reserve::keep, task);
}

template <class Key>
bool SqliteStore::is_refused(const Key& key) const {
  return std::any_of(refused_.begin(), refused_.end(), [&](const RefusedRow& refused) {
    const Key* const other = std::get_if<Key>(&refused.row);
    return other != nullptr && *other == key;
  });
}

/// Does what writes a row, or notes that the row is refused: that is no reason to keep the others from the disk. Inside
/// a transaction.
template <class Key, class Put>
void SqliteStore::put_row(Database& database, const Key& key, Put put) {
  if (is_refused(key)) return;
  try {
    put();
  } catch (const SqliteError& error) {
    if (!error.is_of_row()) throw;
    refused_.push_back({key, error.what()});
    if (!database.is_in_transaction()) throw RolledBack();
  }
}

Store::Written SqliteStore::try_write(const StoreBatch& batch) {
  constexpr int kTries = 3;
  for (int i = 0; i < kTries; ++i) {
    ensure_open();
    if (phase_ == Phase::owing) {
      phase_ = Phase::serving;
      return Written::start_over;
    }
    commit_batch(batch);
    if (!files_->are_current()) continue;
    phase_ = Phase::serving;
    const std::uint64_t log = files_->state.log_bytes();  // with the disk full, it could move no more
    if (log > kLogToCut || (log > kLogToMoveInNeed && ballast_.room() < kNeed))
      recovery_.checkpoint(*files_, Database::Checkpoint::passive);
    return Written::done;
  }
  throw StoreError(StoreError::Kind::missing, path_.string() + " is replaced again and again: see which program does");
}

/// What a batch on a full disk gives back, with the help of the reserve, which is taken again before anything new can
/// use it up. @return was there anything?
bool SqliteStore::make_room(const StoreBatch& batch) {
  StoreBatch freeing;
  freeing.released = batch.released;
  for (const SessionRecord& session : batch.sessions) {
    if (session.ended_at) freeing.sessions.push_back(session);
  }
  if (freeing.rows() == 0) return false;
  try {
    return with_files(Reserve::use, [&] {
      if (!files_ || !files_->are_current()) return true;  // to be found by the next try
      without_refused([&] { commit_batch(freeing); });
      recovery_.checkpoint(*files_, Database::Checkpoint::truncate);
      if (reserve_ == Reserve::keep) ballast_.restore(0);
      return true;
    });
  } catch (const StoreError&) {
    return false;
  }
}

void SqliteStore::use_reserve() noexcept { reserve_ = Reserve::use; }

void SqliteStore::release_memory() noexcept {
  if (!files_) return;
  files_->state.database().release_memory();
  files_->secrets.database().release_memory();
}

std::chrono::milliseconds SqliteStore::upkeep(std::int64_t now) {
  return with_files(Reserve::use, [&]() -> milliseconds {
    if (!files_ || !files_->are_current()) return kNothingToDo;  // needs_write() says so
    Database& state = files_->state.database();
    const std::uint64_t log = files_->state.log_bytes() + files_->secrets.log_bytes();
    const bool is_idle = Clock::now() - last_write_ >= kIdle;
    if (log > kLogToMove || (is_idle && log > 0)) {
      const auto kind = log > kLogToCut ? Database::Checkpoint::truncate : Database::Checkpoint::passive;
      const bool whole = recovery_.checkpoint(*files_, kind);
      return whole ? milliseconds(0) : milliseconds(kBlocked);
    }
    const std::int64_t time = believed(now);  // what a clock that is wrong deletes nobody brings back
    if (retention_.is_due(state, time) && do_some_retention(time)) return milliseconds(0);
    excess_ = retention_.excess(state);
    if (reserve_ == Reserve::keep) ballast_.restore();
    recovery_.mend_mark();
    return log > 0 ? milliseconds(kIdle) : milliseconds(kNothingToDo);
  });
}

/// A row that a trigger keeps is not deleted, nor are those of its step; it is said once.
bool SqliteStore::do_some_retention(std::int64_t time) {
  std::string refusal;
  try {
    bool any = false;
    commit({}, [&] { any = retention_.do_some(files_->state.database(), time); });
    if (!any) refusal = "a trigger keeps them";
  } catch (const SqliteError& error) {
    if (!error.is_of_row()) throw;
    refusal = error.what();
  }
  if (!refusal.empty() && refusal != retention_refusal_)
    opening_.remarks.push_back("old rows cannot be deleted from " + path_.string() + ": " + refusal);
  retention_refusal_ = refusal;
  return refusal.empty();
}

ClockReading SqliteStore::reading() {
  const std::int64_t now = unix_now();
  return {now, believed(now)};
}

/// The time to go by, and a remark when that is another one than the clock's.
std::int64_t SqliteStore::believed(std::int64_t now) {
  const bool doubted = trust_->doubts();
  const std::int64_t time = trust_->believed(now, is_synchronised_());
  if (trust_->doubts() && !doubted)
    opening_.remarks.push_back("the clock is " + std::to_string((now - time) / 3600) +
                               " hours ahead of the last time that " + path_.string() +
                               " has seen: nothing is deleted until the kernel says that it is synchronised, or it has "
                               "stood for a day");
  return time;
}

void SqliteStore::close() {
  with_files(Reserve::use, [this] {
    ensure_open();
    if (phase_ == Phase::owing)
      throw StoreError(StoreError::Kind::missing, path_.string() + " is another file than before, and not complete");
    commit({}, [this] {
      run(files_->state.database(), "UPDATE epoch SET clean = 1, unsure_until = ?1", recovery_.unsure_until());
    });
    recovery_.checkpoint(*files_, Database::Checkpoint::truncate);
    files_.reset();
  });
}

StoredState SqliteStore::load(std::int64_t now) {
  return patiently([&] {
    ensure_open();
    StoredState state;
    commit({}, [&] { state = load_state(files_->state.database(), believed(now)); });
    state.values = load_values();
    state.lacks_values = recovery_.lacks_values();
    phase_ = Phase::serving;
    return state;
  });
}

/// Of a value that stands in both files, the one that was written later.
std::vector<ValueRecord> SqliteStore::load_values() {
  std::vector<ValueRows::Row> plain = files_->values.all(false);
  std::vector<ValueRows::Row> secret = files_->secret_values.all(true);
  std::vector<ValueRecord> out;
  for (ValueRows::Row& row : plain) {
    const auto twin = std::find_if(secret.begin(), secret.end(),
                                   [&](const auto& other) { return other.record.key == row.record.key; });
    const bool is_older = twin != secret.end() && twin->written > row.written;
    if (is_older) {
      try_to_remove([&] { commit({}, [&] { files_->values.remove(row.record.key); }); });
      continue;
    }
    if (twin != secret.end()) {
      try_to_remove([&] { files_->secret_values.remove(row.record.key); });
      secret.erase(twin);
    }
    out.push_back(std::move(row.record));
  }
  for (ValueRows::Row& row : secret) out.push_back(std::move(row.record));
  return out;
}

std::string why_not_own_store(const std::filesystem::path& state_db) {
  const std::filesystem::path state = resolved(state_db), secrets = secrets_beside(state);
  for (const std::filesystem::path& database : {state_db, secrets_link_beside(state)})
    if (const std::string why = why_not_own_database(database); !why.empty()) return why;
  for (const std::filesystem::path& file : {beside(state, ".lock"), beside(secrets, ".lock"), beside(state, ".epoch")})
    if (const std::string why = why_not_own_file(file, "remove it"); !why.empty()) return why;
  return {};
}

std::unique_ptr<Store> open_sqlite_store(const std::filesystem::path& state_db, const Retention& retention, Said said,
                                         SyncState is_synchronised) {
  return std::make_unique<SqliteStore>(state_db, retention, std::move(said), is_synchronised);
}

}  // namespace gatehouse::db
