// What is made good when the store's files are opened. Acknowledged commits that are missing are found
// (files/epoch_file.hpp says how) and what follows from that is written down before anything else is; the count of
// commits, which the next opening goes by, is kept here too. One thread's.
#pragma once

#include "db/store/files/epoch_file.hpp"
#include "db/store/rows/state_rows.hpp"
#include "db/store/store.hpp"
#include "db/store/store_files.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>

namespace gatehouse::db {

class Recovery {
 public:
  /// Whom to believe after a loss. At a start there is nothing but the files: leases and values that may have been
  /// there are in doubt. Later memory has everything that is live, and writes it again.
  enum class Truth { files, memory };

  /// What an opening has found.
  struct Finding {
    Epoch epoch;
    EpochMark mark;  ///< to go on with
    bool lacks_commits = false, lacks_secrets = false;
    std::int64_t unsure_until = 0;
    [[nodiscard]] bool is_loss() const noexcept { return lacks_commits || lacks_secrets; }
  };

  /// Reads state.epoch.
  explicit Recovery(std::filesystem::path state_db);

  // An opening, step by step: this, then the files themselves, then look() and begin().

  /// A log that is newer than the database beside it would be played into it. @throws FileError
  void part_log_from_older_copy(StoreOpening& opening) const;
  /// @param opening  what the opening has moved @throws SqliteError
  [[nodiscard]] Finding look(StoreFiles& files, const StoreOpening& opening, const ClockReading& time) const;
  /// Writes down what was found, and begins to count above everything that was ever counted. A log that is in doubt
  /// moves into the file, whole. @throws SqliteError; StoreError, also when that cannot be done now
  void begin(StoreFiles& files, const Finding& found, Truth truth);
  /// At a start.
  void tell(StoreFiles& files, const Finding& found, StoreOpening& opening);
  /// Was state.epoch of use at the start?
  void tell_of_mark(StoreOpening& opening) const;

  // The count of commits, once begin() has come to its end.

  [[nodiscard]] std::uint64_t next_commit() const noexcept { return known_->n + 1; }
  /// Before the commit that grants it. @param until  0 = with its session
  void expect_lease(std::int64_t until, const ClockReading& time) noexcept;
  /// The next commit is durable. Where state.epoch cannot be written, it is behind until mend_mark() succeeds: a loss
  /// might go unnoticed, nothing else.
  void committed() noexcept;
  /// @return true: nothing is left in the logs @throws SqliteError
  bool checkpoint(StoreFiles& files, Database::Checkpoint kind);
  /// state.epoch anew, if it is behind or gone. @throws StoreError
  void mend_mark();

  // What is in doubt.

  /// An error of the disk: what is in the log may be in the kernel's memory only, until begin() has moved it.
  void doubt_log() noexcept { log_is_doubted_ = true; }
  /// May sessions that are live stand in the file as ended?
  [[nodiscard]] bool may_be_ended() const noexcept { return may_be_ended_; }
  /// Commits were missing at the start: a value that is not there may have been there.
  [[nodiscard]] bool lacks_values() const noexcept { return lacks_values_; }
  /// Leases that nobody remembers may be live until then; 0 = none.
  [[nodiscard]] std::int64_t unsure_until() const noexcept { return unsure_until_; }

 private:
  const std::filesystem::path path_;  // of state.db
  const EpochFile::Reading at_start_;
  EpochFile epoch_file_;
  std::optional<EpochMark> known_;  // what the file must have: state.epoch's at a start, then that of the last commit
  bool log_is_doubted_ = false, may_be_ended_ = false, lacks_values_ = false;
  std::int64_t unsure_until_ = 0;
};

}  // namespace gatehouse::db
