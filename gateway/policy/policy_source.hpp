// Where the rows come from: policy.db, or, while that cannot be read, the last good policy, in memory or from its copy
// on disk. One thread; the copy is made on another, so that no edit waits for it.
#pragma once

#include "db/policy/policy_database.hpp"
#include "gateway/base/log_message.hpp"
#include "policy/model.hpp"

#include <gatehouse/base/file_stamp.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <future>
#include <memory>
#include <optional>
#include <string>

namespace gatehouse {

class PolicySource {
 public:
  enum class From { none, database, last_good };

  static constexpr std::chrono::seconds kQuiet{2};     ///< without an edit, before a copy is made
  static constexpr std::chrono::seconds kLongest{30};  ///< from an edit to its copy; also between two attempts
  static constexpr std::chrono::seconds kPatience{5};  ///< with a writer that lets nobody read
  static constexpr std::chrono::seconds kLastCopy{4};  ///< at the end, for the copies that are made or due
  /// So many times as long as a failed reading took, a file that has not changed is left alone.
  static constexpr int kRest = 9;

  /// The copy is `policy.last-good.db` beside `database`. One that the present rows do not continue is kept once more,
  /// as `policy.last-good.1.db`: a file put in place by mistake does not overwrite the copy of what it replaced.
  PolicySource(std::filesystem::path database, LogSink log);
  ~PolicySource();
  PolicySource(const PolicySource&) = delete;
  PolicySource& operator=(const PolicySource&) = delete;

  /// At start: makes a missing policy.db with the starter policy, unless there is a copy of one that has gone;
  /// migrates an older one; reads it, or else the copy. Never fails: see failure().
  void open();
  /// Looks for edits. @return has anything changed of what follows?
  [[nodiscard]] bool poll();
  /// At the end: makes the copy that is due, unless that takes longer than kLastCopy.
  void close();
  /// From any thread: a poll() that reads gives up, and so does every later one.
  void stop() noexcept { stopping_.store(true, std::memory_order_relaxed); }

  /// Null until something could be read.
  [[nodiscard]] const std::shared_ptr<const policy::Model>& model() const noexcept { return model_; }
  [[nodiscard]] From from() const noexcept;
  /// Why policy.db is not what is in force, and what is; "" while all is well.
  [[nodiscard]] const std::string& failure() const noexcept { return failure_; }
  /// When the copy on disk was made, in Unix seconds.
  [[nodiscard]] std::optional<std::int64_t> last_good() const;

 private:
  using Clock = std::chrono::steady_clock;

  void prepare();
  void read();
  void read_copy();
  void take(policy::Model model);
  [[nodiscard]] std::string reason(const std::exception& error) const;
  void fail(const std::string& why);
  [[nodiscard]] bool is_patient();
  void keep_copy();
  void start_copying();
  void end_copying();
  void report_copied(bool set_aside);
  void report_copy_failed(const std::string& why);

  /// The files as they were when reading them had failed after a long time.
  struct Costly {
    FileStamp file, log;
    Clock::time_point again{};  ///< when to try once more, though they are the same
  };
  [[nodiscard]] bool is_costly();
  void note_cost(Clock::time_point begin);

  const std::filesystem::path path_, copy_path_;
  const LogSink log_;
  std::atomic<bool> stopping_{false};  // read by database_
  std::optional<db::PolicyDatabase> database_;
  std::shared_ptr<const policy::Model> model_;
  std::string failure_, in_force_;  // in_force_: how the model is described while policy.db fails
  bool unread_ = true;              // rows may have changed and are not read yet
  bool changed_ = true;
  std::optional<Clock::time_point> busy_since_;
  std::optional<Costly> costly_;

  std::optional<Clock::time_point> uncopied_since_;  // none: the copy is up to date
  Clock::time_point edited_at_{}, tried_at_{};
  bool copy_failed_ = false;
  std::atomic<bool> give_up_copy_{false};
  std::future<bool> copying_;  // was an older copy set aside?
};

}  // namespace gatehouse
