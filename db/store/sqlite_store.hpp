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

#include "db/file/clock_trust.hpp"
#include "db/store/files/ballast.hpp"
#include "db/store/files/store_lock.hpp"
#include "db/store/recovery.hpp"
#include "db/store/rows/retention.hpp"
#include "db/store/store.hpp"
#include "db/store/store_files.hpp"

#include <chrono>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace gatehouse::db {

class SqliteStore final : public Store {
 public:
  /// @throws std::runtime_error, StoreError: as open_sqlite_store()
  SqliteStore(const std::filesystem::path& state_db, const Retention& retention, Said said, SyncState is_synchronised);

  [[nodiscard]] const StoreOpening& opening() const noexcept override { return opening_; }
  [[nodiscard]] StoredState load(std::int64_t now) override;
  [[nodiscard]] Written write(const StoreBatch& batch) override;
  [[nodiscard]] std::vector<RefusedRow> take_refused() override { return std::exchange(refused_, {}); }
  std::chrono::milliseconds upkeep(std::int64_t now) override;
  void release_memory() noexcept override;
  [[nodiscard]] bool needs_write() const noexcept override { return !files_ || !files_->are_current(); }
  [[nodiscard]] std::int64_t believed(std::int64_t now) override;
  [[nodiscard]] std::string excess() const override { return excess_; }
  void set_retention(const Retention& retention) override { retention_ = RetentionWork(retention); }
  void use_reserve() noexcept override;
  void close() override;

 private:
  using Clock = std::chrono::steady_clock;

  /// How far a life has come, and what leads on:
  ///
  ///     starting ---- load(), or a write that is done ----> serving ---- an opening finds a loss ----> owing
  ///                                                            ^                                         |
  ///                                                            +----- write() has said start_over -------+
  ///
  /// In each phase the files are open or shut: load(), write() and close() open them, by way of Recovery; an error, a
  /// file that is not the one that its path names, and the end of close() shut them. A loss that an opening finds is
  /// made good by what the files have at a start, and later by memory, which is then told to write everything again.
  enum class Phase {
    starting,  ///< nothing was loaded or written yet: what is missing is missing for good
    serving,   ///< memory has everything that is live
    owing,     ///< and the files have not: write() owes that answer
  };

  enum class Reserve { keep, use };  ///< of room, when the disk is full
  template <class Task>
  std::invoke_result_t<Task> patiently(Task task);
  template <class Task>
  std::invoke_result_t<Task> with_files(Reserve reserve, Task task);
  void ensure_open();
  void open_files();
  void leave_files();
  [[nodiscard]] bool remedy(const SqliteError& error, int attempt, Reserve reserve);
  [[nodiscard]] bool reuse_log() noexcept;
  /// What a commit leaves behind beside its rows.
  struct Traces {
    std::uint64_t last_session_id = 0, secrets_n = 0;
  };
  template <class Change>
  void commit(const Traces& traces, Change change);
  [[nodiscard]] Written try_write(const StoreBatch& batch);
  [[nodiscard]] bool make_room(const StoreBatch& batch);
  void commit_batch(const StoreBatch& batch);
  void put_lease(const LeaseRecord& lease);
  [[nodiscard]] bool put_secrets(const StoreBatch& batch);
  [[nodiscard]] ClockReading reading();
  [[nodiscard]] bool do_some_retention(std::int64_t time);
  [[nodiscard]] std::vector<ValueRecord> load_values();
  void remove_former_secrets(const StoreBatch& batch);
  template <class Key>
  [[nodiscard]] bool is_refused(const Key& key) const;
  template <class Key, class Put>
  void put_row(Database& database, const Key& key, Put put);

  const Said said_;
  const SyncState is_synchronised_;
  const std::filesystem::path path_, secrets_path_;
  const StoreLock lock_, secrets_lock_;
  Recovery recovery_;
  Ballast ballast_;
  RetentionWork retention_;
  StoreOpening opening_;
  std::optional<ClockTrust> trust_;  // once the files were open
  std::vector<RefusedRow> refused_;  // of the write() that is under way, then of the last one
  std::string excess_;
  std::string retention_refusal_;  // SQLite's sentence, while rows are kept from it

  std::optional<StoreFiles> files_;  // none while they are shut
  Phase phase_ = Phase::starting;
  Reserve reserve_ = Reserve::keep;  // of write(), until use_reserve()
  Clock::time_point last_write_{};
};

}  // namespace gatehouse::db
