// Keeps the published policy equal to policy.db: a thread that notices edits, compiles and publishes.
#pragma once

#include "db/policy_database.hpp"
#include "gateway/policy/own_addresses.hpp"
#include "gateway/policy/snapshot_board.hpp"
#include "policy/compile.hpp"

#include <gatehouse/base/unique_fd.hpp>

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace gatehouse {

/// Called on the publisher's thread, or on the one that calls set_places(), with no lock held. They must not throw.
struct PolicyEvents {
  std::function<void(std::uint64_t generation)> published;  ///< a newer generation: wake the lanes
  /// One sentence for the log: `bad` when something needs a person.
  std::function<void(bool bad, const std::string& sentence)> said;
};

struct PolicyStatus {
  std::uint64_t generation = 0;
  std::int64_t revision = 0;         ///< of policy.db, as compiled
  bool has_policy = false;           ///< false: everything is denied
  std::vector<std::string> reasons;  ///< why the gateway's health is not ok because of policy; empty = it is
  std::vector<policy::Problem> problems;
};

/// Thread-safe. A database that cannot be read leaves the last good policy in force; when there was none, everything
/// is denied until one can be read.
class PolicyPublisher {
 public:
  static constexpr std::chrono::milliseconds kPoll{200};

  /// Makes a missing policy.db with the starter policy, migrates an older one after a copy, and publishes the first
  /// generation before it returns. Never fails because of the database: see status(). @throws std::system_error
  PolicyPublisher(std::filesystem::path database, PolicyEvents events);
  ~PolicyPublisher();
  PolicyPublisher(const PolicyPublisher&) = delete;
  PolicyPublisher& operator=(const PolicyPublisher&) = delete;

  [[nodiscard]] const std::shared_ptr<SnapshotBoard>& board() const noexcept { return board_; }
  [[nodiscard]] PolicyStatus status() const;
  /// The rows in force, for credentials; null while there is no policy.
  [[nodiscard]] std::shared_ptr<const policy::Model> model() const;
  [[nodiscard]] policy::Surroundings surroundings() const;

  /// The gateway's own listeners and its tunnels' prefixes: in force when this returns. To be called before lanes run.
  void set_places(std::vector<policy::OwnListener> listeners, std::vector<Prefix> tunnel_prefixes);

 private:
  template <class Work>
  void locked(Work work);  // runs it under work_, then calls the events
  void run();
  void prepare();
  void read_database();
  void compile_and_publish();
  [[nodiscard]] bool read_addresses();
  void tell_problems(const std::vector<policy::Problem>& before, const std::vector<policy::Problem>& now);
  [[nodiscard]] std::vector<std::string> reasons(std::size_t unread_denials) const;
  void say(bool bad, std::string sentence) { sayings_.emplace_back(bad, std::move(sentence)); }

  const std::filesystem::path path_;
  const PolicyEvents events_;

  std::mutex work_;  // guards what follows, up to the next mutex
  std::optional<db::PolicyDatabase> database_;
  bool reload_ = true;   // rows may have changed and are not read yet
  bool changed_ = true;  // what is published is out of date
  std::string failure_;  // why the database cannot be read, or ""
  std::optional<std::int64_t> next_expiry_;
  std::uint64_t generation_ = 0;
  std::vector<std::pair<bool, std::string>> sayings_;

  mutable std::mutex published_;  // guards what others ask for; work_ is locked first
  std::shared_ptr<const policy::Model> model_;
  policy::Surroundings surroundings_;
  PolicyStatus status_;

  std::shared_ptr<SnapshotBoard> board_;
  AddressWatch addresses_;
  UniqueFd stop_;
  std::thread thread_;
};

}  // namespace gatehouse
