// The store in SQLite files: state.db, secrets.db and what lies beside them. db/README.md names the files,
// files/epoch_file.hpp says how a loss is noticed.
//
// A commit: secret values into and removed ones out of secrets.db, if there are any; everything else, with the commit's
// number, to state.db; the number to state.epoch; values that are secret no more, out of secrets.db. Then, and only
// then, it is acknowledged, provided that the files are still the ones that their paths name.
//
// A connection that has met an error of the disk is never used again: what the kernel could not write it takes for
// written (fsync reports an error once), so the next one first moves the whole log into the file, anew. One thread's.
#pragma once

#include "db/store/files/ballast.hpp"
#include "db/store/files/database_file.hpp"
#include "db/store/files/epoch_file.hpp"
#include "db/store/files/store_lock.hpp"
#include "db/store/rows/retention.hpp"
#include "db/store/rows/state_rows.hpp"
#include "db/store/store.hpp"

#include <chrono>
#include <optional>
#include <type_traits>

namespace gatehouse::db {

class SqliteStore final : public Store {
 public:
  /// @throws std::runtime_error, StoreError: as open_sqlite_store()
  SqliteStore(const std::filesystem::path& state_db, const Retention& retention, Said said);

  [[nodiscard]] const StoreOpening& opening() const noexcept override { return opening_; }
  [[nodiscard]] StoredState load(std::int64_t now) override;
  [[nodiscard]] Written write(const StoreBatch& batch) override;
  std::chrono::milliseconds upkeep(std::int64_t now) override;
  [[nodiscard]] bool needs_write() const noexcept override { return !files_ || !files_->are_current(); }
  void set_retention(const Retention& retention) override { retention_ = RetentionWork(retention); }
  void use_reserve() noexcept override;
  void close() override;

 private:
  using Clock = std::chrono::steady_clock;

  /// What is open.
  struct Files {
    Files(const std::filesystem::path& state_db, const std::filesystem::path& secrets_db, StoreOpening& told)
        : state(state_db, state_kind(), told),
          secrets(secrets_db, secrets_kind(), told),
          rows(state.database()),
          values(state.database()),
          secret_values(secrets.database()) {}
    DatabaseFile state, secrets;
    StateRows rows;
    ValueRows values, secret_values;
    [[nodiscard]] bool are_current() const noexcept { return state.is_current() && secrets.is_current(); }
  };

  /// What an opening comes to.
  struct Finding {
    Epoch epoch;
    EpochMark mark;  ///< to go on with
    bool lacks_commits = false, lacks_secrets = false;
    std::int64_t unsure_until = 0;
  };

  enum class Reserve { keep, use };  ///< of room, when the disk is full
  template <class Task>
  std::invoke_result_t<Task> patiently(Task task);
  template <class Task>
  std::invoke_result_t<Task> with_files(Reserve reserve, Task task);
  [[nodiscard]] bool ensure_open();
  void open_files();
  [[nodiscard]] Finding look(std::int64_t now);
  void begin_epoch(const Finding& found);
  void tell(const Finding& found);
  void leave_files();
  [[nodiscard]] bool remedy(const SqliteError& error, int attempt, Reserve reserve);
  [[nodiscard]] bool reuse_log() noexcept;
  void set_aside_for_good(const std::filesystem::path& database);
  /// What a commit leaves behind beside its rows.
  struct Traces {
    std::uint64_t last_session_id = 0, secrets_n = 0;
  };
  template <class Change>
  void commit(const Traces& traces, Change change);
  [[nodiscard]] Written try_write(const StoreBatch& batch);
  [[nodiscard]] bool make_room(const StoreBatch& batch);
  void commit_batch(const StoreBatch& batch);
  [[nodiscard]] bool put_secrets(const StoreBatch& batch);
  bool checkpoint(Database::Checkpoint kind);
  void mark_commit() noexcept;
  [[nodiscard]] std::vector<ValueRecord> load_values();

  const Said said_;
  const std::filesystem::path path_, secrets_path_;
  const StoreLock lock_, secrets_lock_;
  EpochFile epoch_file_;
  Ballast ballast_;
  RetentionWork retention_;
  StoreOpening opening_;

  std::optional<Files> files_;      // none after an error: opened again by the next call
  std::optional<EpochMark> known_;  // what the file must have: state.epoch's at a start, then that of the last commit
  bool starting_ = true;            // nothing was loaded or written yet: what is missing is missing for good
  bool start_over_ = false;         // write() owes that answer
  bool revive_ = false;             // sessions that are live may stand in the file as ended
  bool distrust_ = false;           // the log may be in the kernel's memory only
  bool spend_ = false;              // use_reserve() was called
  bool lacks_values_ = false;       // commits were missing at the start
  bool mark_failed_ = false;        // state.epoch is behind
  std::int64_t unsure_until_ = 0;
  Clock::time_point last_write_{};
};

}  // namespace gatehouse::db
