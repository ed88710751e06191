#include "db/store/sqlite_store.hpp"

#include "db/file/paths.hpp"
#include "db/store/failure.hpp"
#include "db/store/files/set_aside.hpp"
#include "db/store/rows/state_load.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <limits>
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
constexpr std::int64_t kShortestDoubt{60};        // s, for which lost leases are taken for live at least
constexpr std::uint32_t kUnlimitedLease = 3600;   // s, for which one that lasts as long as its session counts then
constexpr std::uint32_t kUnknownLifetime = 3600;  // s, of leases when state.epoch is gone too
/// Session numbers that may have been used and not written when the process ends in disorder.
constexpr std::uint64_t kNumbersInDoubt = std::uint64_t{1} << 44U;

std::int64_t unix_now() {
  return std::chrono::duration_cast<seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

/// Of the running kernel (random(4)): differs after the machine has restarted.
std::string boot_id() {
  std::string id;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> id;
  return id;
}

/// Is the database an older copy than the log beside it? SQLite would play the one into the other.
bool is_older_than_log(const std::filesystem::path& database, const EpochMark& known) {
  if (known.checkpointed == 0 || FileStamp::of(log_of(database)).size == 0) return false;
  try {
    Database alone(database, OpenMode::frozen, milliseconds(0));
    const Epoch found = read_epoch(alone);
    return found.store_id != known.store_id || found.n < known.checkpointed;
  } catch (const SqliteError& error) {
    return (error.code() & 0xff) == SQLITE_ERROR;  // it lacks the table; a file that is broken is another matter
  }
}

/// Of the longest lease, should all of them be lost. @param until  0 = with its session
std::uint32_t lifetime(std::int64_t until, std::int64_t now) noexcept {
  if (until == 0) return kUnlimitedLease;
  return static_cast<std::uint32_t>(
      std::clamp<std::int64_t>(until - now, 0, std::numeric_limits<std::uint32_t>::max()));
}

void run(Database& database, std::string_view sql, std::int64_t bound) {
  Statement statement = database.prepare(sql);
  statement.bind(1, bound);
  statement.run();
}

}  // namespace

SqliteStore::SqliteStore(const std::filesystem::path& state_db, const Retention& retention, Said said)
    : said_(std::move(said)),
      path_(resolved(state_db)),
      secrets_path_(secrets_beside(path_)),
      lock_(beside(path_, ".lock"), path_),
      secrets_lock_(beside(secrets_path_, ".lock"), secrets_path_),
      epoch_file_(beside(path_, ".epoch")),
      ballast_(beside(path_, ".ballast")),
      retention_(retention) {
  const EpochFile::Reading reading = EpochFile::read(beside(path_, ".epoch"));
  if (reading.found == EpochFile::Found::sound) known_ = reading.mark;
  patiently([this] { return ensure_open(); });
  if (!opening_.created && reading.found != EpochFile::Found::sound)
    opening_.remarks.push_back(beside(path_, ".epoch").string() +
                               (reading.found == EpochFile::Found::nothing ? " was gone" : " was broken") +
                               ", so that nobody can tell whether commits are missing; it is made anew");
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
    if (starting_) throw;
    throw StoreError(StoreError::Kind::corrupt, error.what());
  }
}

/// At a start there is nobody yet who goes on from memory: a lock that passes is waited for. @throws StoreError
template <class Task>
std::invoke_result_t<Task> SqliteStore::patiently(Task task) {
  const Clock::time_point end = Clock::now() + kStartPatience;
  for (bool told = false;; told = true) {
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
    if (!told && said_) said_("waiting up to " + std::to_string(kStartPatience.count()) + " s: " + locked);
    std::this_thread::sleep_for(kStartPause);
  }
}

/// @return true: the same may go well now
bool SqliteStore::remedy(const SqliteError& error, int attempt, Reserve reserve) {
  const int code = error.code() & 0xff;
  if (code == SQLITE_CONSTRAINT || code == SQLITE_MISMATCH || code == SQLITE_TOOBIG)
    throw std::invalid_argument(error.what());
  const StoreError::Kind kind = store_error(error).kind();
  if (kind == StoreError::Kind::busy) return false;
  if (error.is_corrupt() || code == SQLITE_ERROR) {  // or somebody has changed the schema
    files_.reset();
    if (attempt == 1) set_aside_for_good(error.file());  // it was opened anew, and the check has found nothing
    return attempt < 2;
  }
  if (code != SQLITE_FULL) {
    files_.reset();
    distrust_ = true;
  }
  if (kind != StoreError::Kind::full) return false;
  return (attempt == 0 && reuse_log()) || (attempt < 2 && reserve == Reserve::use && ballast_.release());
}

/// A log that has moved into the file gives its room back. The move itself may need the reserve's for a moment.
bool SqliteStore::reuse_log() noexcept {
  if (!files_ || files_->state.log_bytes() == 0) return false;
  const bool had_reserve = ballast_.release();
  try {
    const bool whole = checkpoint(Database::Checkpoint::truncate);
    if (had_reserve) ballast_.restore(0);
    return whole;
  } catch (const SqliteError& error) {
    if (had_reserve) ballast_.restore(0);
    if ((error.code() & 0xff) == SQLITE_FULL) return false;
    files_.reset();
    distrust_ = true;
    return false;
  }
}

void SqliteStore::set_aside_for_good(const std::filesystem::path& database) {
  const auto moved = set_aside(database);
  opening_.moved.insert(opening_.moved.end(), moved.begin(), moved.end());
}

/// @return false: the file is another one, and the caller owes the world start_over
bool SqliteStore::ensure_open() {
  if (files_ && !files_->are_current()) leave_files();
  if (!files_) open_files();
  return !std::exchange(start_over_, false);
}

void SqliteStore::leave_files() {
  const bool state_log = files_->state.part();
  const bool secrets_log = files_->secrets.part();
  const std::filesystem::path secrets = files_->secrets.path();
  files_.reset();
  for (const auto& [is_foreign, path] : {std::pair(state_log, path_), std::pair(secrets_log, secrets)}) {
    if (!is_foreign) continue;
    const auto moved = set_log_aside(path);
    opening_.moved.insert(opening_.moved.end(), moved.begin(), moved.end());
  }
}

void SqliteStore::open_files() {
  if (known_ && is_older_than_log(path_, *known_)) {
    const auto moved = set_log_aside(path_);
    opening_.moved.insert(opening_.moved.end(), moved.begin(), moved.end());
    opening_.remarks.push_back(path_.string() + " is an older copy, put beside the log of a newer one: the log was " +
                               "set aside");
  }
  try {
    files_.emplace(path_, secrets_path_, opening_);
    const Finding found = look(unix_now());
    begin_epoch(found);
    if (starting_) tell(found);
  } catch (...) {
    files_.reset();
    throw;
  }
}

SqliteStore::Finding SqliteStore::look(std::int64_t now) {
  Database& state = files_->state.database();
  Finding out;
  out.epoch = read_epoch(state);
  const auto secrets_n = static_cast<std::uint64_t>(files_->secrets.database().number("SELECT n FROM epoch"));
  out.lacks_secrets = secrets_n < out.epoch.secrets_n;
  out.epoch.secrets_n = secrets_n;
  if (known_) {
    out.lacks_commits = known_->store_id != out.epoch.store_id || out.epoch.n < known_->n;
  } else {  // not even state.epoch is there
    out.lacks_commits = files_->state.created() &&
                        std::any_of(opening_.moved.begin(), opening_.moved.end(),
                                    [this](const auto& moved) { return moved.string().starts_with(path_.string()); });
  }
  out.mark.store_id = out.epoch.store_id;
  out.mark.n = 1 + std::max({out.epoch.n, known_ ? known_->n : 0, secrets_n});
  Statement leases = state.prepare("SELECT max(expires_at), min(expires_at) FROM leases HAVING count(*) > 0");
  if (leases.step())
    out.mark.longest_lease = std::max(lifetime(leases.integer(0), now), lifetime(leases.integer(1), now));
  out.unsure_until = std::max(out.epoch.unsure_until, unsure_until_);
  if (out.lacks_commits) {
    const std::uint32_t longest = known_ ? known_->longest_lease : kUnknownLifetime;
    out.mark.longest_lease = std::max(out.mark.longest_lease, longest);
    out.unsure_until = std::max(out.unsure_until, now + std::max<std::int64_t>(kShortestDoubt, out.mark.longest_lease));
  }
  if (out.unsure_until <= now) out.unsure_until = 0;
  return out;
}

/// Writes down what was found, and begins to count above everything that was ever counted.
void SqliteStore::begin_epoch(const Finding& found) {
  Database& state = files_->state.database();
  const bool in_doubt = starting_ && (found.lacks_commits || !found.epoch.clean);
  if (found.lacks_secrets && starting_) files_->secret_values.doubt_all();
  Transaction transaction(state, Transaction::Kind::immediate);
  if (found.lacks_commits && starting_) files_->values.doubt_all();
  Statement begin = state.prepare(
      "UPDATE epoch SET n = ?1, boot_id = ?2, clean = 0, unsure_until = ?3, last_session_id = last_session_id + ?4, "
      "secrets_n = ?5");
  begin.bind(1, static_cast<std::int64_t>(found.mark.n));
  begin.bind(2, boot_id());
  begin.bind(3, found.unsure_until);
  begin.bind(4, in_doubt ? static_cast<std::int64_t>(kNumbersInDoubt) : 0);
  begin.bind(5, static_cast<std::int64_t>(found.epoch.secrets_n));
  begin.run();
  if (found.lacks_commits && starting_) {
    run(state, "UPDATE leases SET expires_at = ?1 WHERE expires_at > 0 AND expires_at < ?1", found.unsure_until);
  } else if (found.lacks_commits) {  // memory is the truth, and is about to be written
    revive_ = true;
    state.run("DELETE FROM leases; UPDATE sessions SET ended_at = last_seen_at WHERE ended_at IS NULL");
  }
  if (!starting_ && (found.lacks_commits || found.lacks_secrets)) start_over_ = true;
  transaction.commit();

  if (!epoch_file_.save(found.mark)) throw store_error(beside(path_, ".epoch"), errno);
  known_ = found.mark;
  if (!checkpoint(Database::Checkpoint::truncate) && distrust_)
    throw StoreError(StoreError::Kind::busy, path_.string() +
                                                 ": somebody reads it, so that it cannot be made safe after an error "
                                                 "of the disk; end that reader");
  distrust_ = false;
}

void SqliteStore::tell(const Finding& found) {
  opening_.created = opening_.created || files_->state.created();
  opening_.clean = opening_.clean && found.epoch.clean && !found.lacks_commits;
  opening_.unsure_until = unsure_until_ = found.unsure_until;
  if (opening_.from_version == 0) opening_.from_version = files_->state.from_version();
  if (!files_->state.backup().empty()) opening_.backup = files_->state.backup();
  lacks_values_ = lacks_values_ || found.lacks_commits || found.lacks_secrets;
  if (found.lacks_secrets)
    opening_.remarks.push_back(files_->secrets.path().string() + " lacks commits that it had: values of plugins are " +
                               "older than they were, or gone");
}

/// All that `change` does, as one commit with the next number.
template <class Change>
void SqliteStore::commit(const Traces& traces, Change change) {
  const std::uint64_t n = known_->n + 1;
  Transaction transaction(files_->state.database(), Transaction::Kind::immediate);
  change();
  files_->rows.put_commit(n, traces.last_session_id, traces.secrets_n);
  transaction.commit();
  known_->n = n;
  last_write_ = Clock::now();
  mark_commit();
}

/// Where that fails, the file is behind until upkeep() succeeds: a loss might go unnoticed, nothing else.
void SqliteStore::mark_commit() noexcept { mark_failed_ = !epoch_file_.write(*known_); }

void SqliteStore::commit_batch(const StoreBatch& batch) {
  Traces traces;
  if (put_secrets(batch)) traces.secrets_n = known_->n + 1;
  const std::int64_t now = unix_now();
  std::uint32_t& longest = known_->longest_lease;
  for (const LeaseRecord& lease : batch.leases) longest = std::max(longest, lifetime(lease.expires_at, now));
  for (const SessionRecord& session : batch.sessions)
    traces.last_session_id = std::max(traces.last_session_id, session.id);
  commit(traces, [&] {
    StateRows& rows = files_->rows;
    for (const SessionRecord& session : batch.sessions) rows.put(session, revive_);
    for (const LeaseKey& lease : batch.released) rows.remove(lease);
    for (const LeaseRecord& lease : batch.leases) rows.put(lease);
    for (const UsageRecord& usage : batch.usage) rows.put(usage);
    for (const ValueRecord& value : batch.values) {
      if (value.value && !value.secret) {
        files_->values.put(value.key, *value.value, known_->n + 1);
      } else {
        files_->values.remove(value.key);
      }
    }
  });
  for (const ValueRecord& value : batch.values) {  // secret no more
    if (value.value && !value.secret && files_->secret_values.has(value.key)) files_->secret_values.remove(value.key);
  }
}

/// @return was there anything to write?
bool SqliteStore::put_secrets(const StoreBatch& batch) {
  ValueRows& secrets = files_->secret_values;
  const auto concerns = [&](const ValueRecord& value) { return value.value ? value.secret : secrets.has(value.key); };
  if (std::none_of(batch.values.begin(), batch.values.end(), concerns)) return false;
  const std::uint64_t n = known_->n + 1;
  Transaction transaction(files_->secrets.database(), Transaction::Kind::immediate);
  for (const ValueRecord& value : batch.values) {
    if (!value.value) {
      secrets.remove(value.key);
    } else if (value.secret) {
      secrets.put(value.key, *value.value, n);
    }
  }
  run(files_->secrets.database(), "UPDATE epoch SET n = ?1", static_cast<std::int64_t>(n));
  transaction.commit();
  return true;
}

Store::Written SqliteStore::write(const StoreBatch& batch) {
  const auto task = [&] { return try_write(batch); };
  try {
    return with_files(spend_ ? Reserve::use : Reserve::keep, task);
  } catch (const StoreError& error) {
    if (error.kind() != StoreError::Kind::full || !make_room(batch)) throw;
  }
  return with_files(Reserve::keep, task);
}

Store::Written SqliteStore::try_write(const StoreBatch& batch) {
  constexpr int kTries = 3;
  for (int i = 0; i < kTries; ++i) {
    if (!ensure_open()) return Written::start_over;
    commit_batch(batch);
    if (!files_->are_current()) continue;
    starting_ = false;
    const std::uint64_t log = files_->state.log_bytes();  // with the disk full, it could move no more
    if (log > kLogToCut || (log > kLogToMoveInNeed && ballast_.room() < kNeed))
      checkpoint(Database::Checkpoint::passive);
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
      commit_batch(freeing);
      checkpoint(Database::Checkpoint::truncate);
      if (!spend_) ballast_.restore(0);
      return true;
    });
  } catch (const StoreError&) {
    return false;
  }
}

void SqliteStore::use_reserve() noexcept { spend_ = true; }

/// @return true: nothing is left in the logs
bool SqliteStore::checkpoint(Database::Checkpoint kind) {
  known_->checkpointed = 0;
  mark_failed_ = !epoch_file_.save(*known_);
  if (mark_failed_) return false;  // the file would be taken for an older copy if it broke off in the middle
  const bool whole = files_->state.checkpoint(kind);
  const bool secrets_whole = files_->secrets.checkpoint(kind);
  if (whole) {
    known_->checkpointed = known_->n;
    mark_failed_ = !epoch_file_.save(*known_);
  }
  return whole && secrets_whole;
}

std::chrono::milliseconds SqliteStore::upkeep(std::int64_t now) {
  return with_files(Reserve::use, [&]() -> milliseconds {
    if (!files_ || !files_->are_current()) return kNothingToDo;  // needs_write() says so
    Database& state = files_->state.database();
    const std::uint64_t log = files_->state.log_bytes() + files_->secrets.log_bytes();
    const bool is_idle = Clock::now() - last_write_ >= kIdle;
    if (log > kLogToMove || (is_idle && log > 0)) {
      const bool whole = checkpoint(log > kLogToCut ? Database::Checkpoint::truncate : Database::Checkpoint::passive);
      return whole ? milliseconds(0) : milliseconds(kBlocked);
    }
    if (retention_.is_due(state, now)) {
      commit({}, [&] { retention_.do_some(state, now); });
      return milliseconds(0);
    }
    if (!spend_) ballast_.restore();
    if (mark_failed_ || !epoch_file_.is_there()) {
      if (!epoch_file_.save(*known_)) throw store_error(beside(path_, ".epoch"), errno);
      mark_failed_ = false;
    }
    return log > 0 ? milliseconds(kIdle) : milliseconds(kNothingToDo);
  });
}

void SqliteStore::close() {
  with_files(Reserve::use, [this] {
    if (!ensure_open()) {
      start_over_ = true;
      throw StoreError(StoreError::Kind::missing, path_.string() + " is another file than before, and not complete");
    }
    commit({},
           [this] { run(files_->state.database(), "UPDATE epoch SET clean = 1, unsure_until = ?1", unsure_until_); });
    checkpoint(Database::Checkpoint::truncate);
    files_.reset();
  });
}

StoredState SqliteStore::load(std::int64_t now) {
  return patiently([&] {
    static_cast<void>(ensure_open());
    StoredState state;
    commit({}, [&] { state = load_state(files_->state.database(), now); });
    state.values = load_values();
    state.lacks_values = lacks_values_;
    starting_ = false;
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
      commit({}, [&] { files_->values.remove(row.record.key); });
      continue;
    }
    if (twin != secret.end()) {
      files_->secret_values.remove(row.record.key);
      secret.erase(twin);
    }
    out.push_back(std::move(row.record));
  }
  for (ValueRows::Row& row : secret) out.push_back(std::move(row.record));
  return out;
}

std::unique_ptr<Store> open_sqlite_store(const std::filesystem::path& state_db, const Retention& retention, Said said) {
  return std::make_unique<SqliteStore>(state_db, retention, std::move(said));
}

}  // namespace gatehouse::db
