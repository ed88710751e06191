#include "db/store/recovery.hpp"

#include "db/file/paths.hpp"
#include "db/store/failure.hpp"
#include "db/store/files/set_aside.hpp"

#include <gatehouse/base/file_stamp.hpp>

#include <sqlite3.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <limits>
#include <string>

namespace gatehouse::db {
namespace {

constexpr std::int64_t kShortestDoubt{60};        // s, for which lost leases are taken for live at least
constexpr std::uint32_t kUnlimitedLease = 3600;   // s, for which one that lasts as long as its session counts then
constexpr std::uint32_t kUnknownLifetime = 3600;  // s, of leases when state.epoch is gone too
/// Session numbers that may have been used and not written when the process ends in disorder.
constexpr std::uint64_t kNumbersInDoubt = std::uint64_t{1} << 44U;

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
    Database alone(database, OpenMode::frozen, std::chrono::milliseconds(0));
    const Epoch found = read_epoch(alone);
    return found.store_id != known.store_id || found.n < known.checkpointed;
  } catch (const SqliteError& error) {
    return (error.code() & 0xff) == SQLITE_ERROR;  // it lacks the table; a file that is broken is another matter
  }
}

/// Of the longest lease, should all of them be lost. While the clock is doubted, one that ends later than it says was
/// granted by it. @param until  0 = with its session
std::uint32_t lifetime(std::int64_t until, const ClockReading& time) noexcept {
  if (until == 0) return kUnlimitedLease;
  const std::int64_t from = until > time.now ? time.now : time.believed;
  return static_cast<std::uint32_t>(
      std::clamp<std::int64_t>(until - from, 0, std::numeric_limits<std::uint32_t>::max()));
}

/// That was given to a session, whatever the epoch says.
std::uint64_t last_session_id(Database& state, const Epoch& epoch) {
  Statement row = state.prepare("SELECT max(id) FROM sessions WHERE id BETWEEN 0 AND ?1");
  row.bind(1, static_cast<std::int64_t>(kLastNumber));
  const std::int64_t in_table = row.step() ? row.integer(0) : 0;
  return std::max(epoch.last_session_id, static_cast<std::uint64_t>(in_table));
}

/// What the database will say of this life. @param numbers  of sessions that are skipped
void put_epoch(Database& state, const Recovery::Finding& found, std::uint64_t numbers) {
  Statement begin = state.prepare(
      "UPDATE epoch SET n = ?1, boot_id = ?2, clean = 0, unsure_until = ?3, last_session_id = ?4, secrets_n = ?5");
  begin.bind(1, static_cast<std::int64_t>(found.mark.n));
  begin.bind(2, boot_id());
  begin.bind(3, found.unsure_until);
  begin.bind(4, static_cast<std::int64_t>(last_session_id(state, found.epoch) + numbers));
  begin.bind(5, static_cast<std::int64_t>(found.epoch.secrets_n));
  begin.run();
}

}  // namespace

Recovery::Recovery(std::filesystem::path state_db)
    : path_(std::move(state_db)),
      at_start_(EpochFile::read(beside(path_, ".epoch"))),
      epoch_file_(beside(path_, ".epoch")) {
  if (at_start_.found == EpochFile::Found::sound) known_ = at_start_.mark;
}

void Recovery::part_log_from_older_copy(StoreOpening& opening) const {
  if (!known_ || !is_older_than_log(path_, *known_)) return;
  set_log_aside(path_, opening.moved);
  opening.remarks.push_back(path_.string() +
                            " is an older copy, put beside the log of a newer one: the log was set aside");
}

Recovery::Finding Recovery::look(StoreFiles& files, const StoreOpening& opening, const ClockReading& time) const {
  Database& state = files.state.database();
  Finding out;
  out.epoch = read_epoch(state);
  const std::uint64_t secrets_n = sound_number(files.secrets.database().number("SELECT n FROM epoch"));
  out.lacks_secrets = secrets_n < out.epoch.secrets_n;
  out.epoch.secrets_n = secrets_n;
  if (known_) {
    out.lacks_commits = known_->store_id != out.epoch.store_id || out.epoch.n < known_->n;
  } else {  // not even state.epoch is there
    out.lacks_commits = files.state.created() &&
                        std::any_of(opening.moved.begin(), opening.moved.end(),
                                    [this](const auto& moved) { return moved.string().starts_with(path_.string()); });
  }
  out.mark.store_id = out.epoch.store_id;
  out.mark.n = 1 + std::max({out.epoch.n, known_ ? known_->n : 0, secrets_n});
  Statement leases = state.prepare("SELECT max(expires_at), min(expires_at) FROM leases HAVING count(*) > 0");
  if (leases.step())
    out.mark.longest_lease = std::max(lifetime(time_of(leases, 0), time), lifetime(time_of(leases, 1), time));
  out.unsure_until = std::max(out.epoch.unsure_until, unsure_until_);
  if (out.lacks_commits) {
    const std::uint32_t longest = known_ ? known_->longest_lease : kUnknownLifetime;
    out.mark.longest_lease = std::max(out.mark.longest_lease, longest);
    out.unsure_until =
        std::max(out.unsure_until, time.believed + std::max<std::int64_t>(kShortestDoubt, out.mark.longest_lease));
  }
  if (out.unsure_until <= time.believed) out.unsure_until = 0;
  return out;
}

void Recovery::begin(StoreFiles& files, const Finding& found, Truth truth) {
  Database& state = files.state.database();
  const bool by_files = truth == Truth::files;
  if (found.lacks_secrets && by_files) files.secret_values.doubt_all();
  Transaction transaction(state, Transaction::Kind::immediate);
  if (found.lacks_commits && by_files) files.values.doubt_all();
  put_epoch(state, found, by_files && (found.lacks_commits || !found.epoch.clean) ? kNumbersInDoubt : 0);
  if (found.lacks_commits && by_files) {
    Statement lengthen = state.prepare("UPDATE leases SET expires_at = ?1 WHERE expires_at > 0 AND expires_at < ?1");
    lengthen.bind(1, found.unsure_until);
    lengthen.run();
  } else if (found.lacks_commits) {
    may_be_ended_ = true;
    state.run("DELETE FROM leases; UPDATE sessions SET ended_at = last_seen_at WHERE ended_at IS NULL");
  }
  transaction.commit();

  if (!epoch_file_.save(found.mark)) throw store_error(beside(path_, ".epoch"), errno);
  known_ = found.mark;
  if (!checkpoint(files, Database::Checkpoint::truncate) && log_is_doubted_)
    throw StoreError(StoreError::Kind::busy, path_.string() +
                                                 ": somebody reads it, so that it cannot be made safe after an error "
                                                 "of the disk; end that reader");
  log_is_doubted_ = false;
}

void Recovery::tell(StoreFiles& files, const Finding& found, StoreOpening& opening) {
  opening.created = opening.created || files.state.created();
  opening.clean = opening.clean && found.epoch.clean && !found.lacks_commits;
  opening.unsure_until = unsure_until_ = found.unsure_until;
  if (opening.from_version == 0) opening.from_version = files.state.from_version();
  if (!files.state.backup().empty()) opening.backup = files.state.backup();
  lacks_values_ = lacks_values_ || found.is_loss();
  if (found.lacks_secrets)
    opening.remarks.push_back(files.secrets.path().string() +
                              " lacks commits that it had: values of plugins are older " + "than they were, or gone");
}

void Recovery::tell_of_mark(StoreOpening& opening) const {
  if (opening.created || at_start_.found == EpochFile::Found::sound) return;
  opening.remarks.push_back(beside(path_, ".epoch").string() +
                            (at_start_.found == EpochFile::Found::nothing ? " was gone" : " was broken") +
                            ", so that nobody can tell whether commits are missing; it is made anew");
}

void Recovery::expect_lease(std::int64_t until, const ClockReading& time) noexcept {
  known_->longest_lease = std::max(known_->longest_lease, lifetime(until, time));
}

void Recovery::committed() noexcept {
  ++known_->n;
  static_cast<void>(epoch_file_.write(*known_));
}

bool Recovery::checkpoint(StoreFiles& files, Database::Checkpoint kind) {
  known_->checkpointed = 0;
  // Else the file would be taken for an older copy if it broke off in the middle.
  if (!epoch_file_.save(*known_)) return false;
  const bool whole = files.state.checkpoint(kind);
  const bool secrets_whole = files.secrets.checkpoint(kind);
  if (whole) {
    known_->checkpointed = known_->n;
    static_cast<void>(epoch_file_.save(*known_));
  }
  return whole && secrets_whole;
}

void Recovery::mend_mark() {
  if (!epoch_file_.is_behind() && epoch_file_.is_there()) return;
  if (!epoch_file_.save(*known_)) throw store_error(beside(path_, ".epoch"), errno);
}

}  // namespace gatehouse::db
