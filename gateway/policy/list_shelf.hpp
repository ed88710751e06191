// The domain lists in memory: each file of lists/ compiled once, on a thread of its own, and shared by snapshots; and
// what that thread finds when it looks the hits up in the files again.
#pragma once

#include "gateway/base/log_message.hpp"
#include "policy/compile.hpp"
#include "policy/model.hpp"

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_set>
#include <utility>
#include <vector>

namespace gatehouse {

/// An open list file. Its functions may throw std::runtime_error.
struct OpenedList {
  using Visitor = std::function<void(std::string_view name, policy::ListEntry entry)>;
  std::size_t entries = 0;    ///< about how many there are
  bool nearest_wins = false;  ///< as in policy::HashedNames
  std::function<void(const Visitor&)> for_each;
  std::function<policy::ListEntry(std::string_view name)> find;
};
/// Opens a file of lists/. @throws std::runtime_error with a sentence
using ListOpener = std::function<OpenedList(const std::filesystem::path&)>;

/// One row of domain_lists, for `status`.
struct ListStatus {
  std::int64_t row = 0;
  std::string name, file;
  std::string state;  ///< "in force", "compiling", "failed"
  std::size_t names = 0, bytes = 0;
  bool operator==(const ListStatus&) const = default;
};

/// Thread-safe; use_rows() to take_messages() are for the publisher alone.
///
/// While a row's new file is compiled, or when it cannot be read, the file that the row had before stays in force. A
/// row that had none before is without names until its file is compiled.
class ListShelf {
 public:
  static constexpr std::size_t kMostMismatches = 4096;  ///< a file
  static constexpr std::size_t kMostChecks = 1024;      ///< names that wait to be looked up
  static constexpr std::size_t kMostChecked = 65536;    ///< names that are known to be looked up

  ListShelf(std::filesystem::path folder, policy::HashSeed seed, ListOpener open);
  ~ListShelf();
  ListShelf(const ListShelf&) = delete;
  ListShelf& operator=(const ListShelf&) = delete;

  /// Sets the rows of domain_lists that the policy has now: compiles files that are new, forgets those that no row
  /// names.
  void use_rows(const std::vector<policy::DomainList>& rows);
  /// Waits until no enabled row is without names because its file is being compiled.
  void wait();
  /// Would wait() wait?
  [[nodiscard]] bool lacks_names() const;
  /// Would lists() return something else than at its last call? Also queues failed files that have changed since.
  [[nodiscard]] bool changed();
  /// For compile().
  [[nodiscard]] policy::Lists lists();
  /// Looks a hit of that row up in its file, some time later.
  void check(std::int64_t row, std::string_view name);

  /// By row.
  [[nodiscard]] std::vector<ListStatus> status() const;
  /// Rows whose new file cannot be read while the former one stays in force: why.
  [[nodiscard]] std::vector<std::string> failures() const;
  /// Rows whose file is being compiled.
  [[nodiscard]] std::vector<std::string> compiling() const;
  [[nodiscard]] std::uint64_t mismatches() const noexcept { return mismatches_.load(std::memory_order_relaxed); }
  /// For the log, since the last call.
  [[nodiscard]] std::vector<LogMessage> take_messages();
  /// "lists/FILE: NAME" for each name that was judged wrongly until now; take_messages() does not name them.
  [[nodiscard]] std::vector<std::string> take_corrected();

 private:
  struct File;
  /// A hit to look up.
  struct Check {
    std::string file, name;
  };

  void abandon();
  void run();
  [[nodiscard]] std::string next_file() const;
  void compile(const std::string& name);
  [[nodiscard]] std::shared_ptr<const policy::NameSet> read(const OpenedList& list) const;
  void look_up(const std::string& file, const std::string& name);
  void correct(const std::string& file, const policy::Mismatches& wrong);
  [[nodiscard]] bool lacks_names_locked() const;
  [[nodiscard]] const File* former_of(const policy::DomainList& row) const;

  const std::filesystem::path folder_;
  const policy::HashSeed seed_;
  const ListOpener open_;
  std::atomic<bool> abandoned_{false};
  std::atomic<std::uint64_t> mismatches_{0};

  mutable std::mutex mutex_;  // guards what follows, but not the thread
  std::condition_variable work_, done_;
  std::vector<policy::DomainList> rows_;  // those that name a file
  std::map<std::string, std::shared_ptr<File>> files_;
  std::map<std::string, std::string> in_force_;  // a row's name to its file: a row that is replaced keeps its name
  std::deque<Check> checks_;
  std::unordered_set<std::string> checked_;
  std::vector<LogMessage> messages_;
  std::vector<std::string> corrected_;
  bool changed_ = false;  // see changed()

  std::thread thread_;
};

}  // namespace gatehouse
