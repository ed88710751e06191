// Keeps the published policy equal to policy.db: a thread that notices edits, compiles and publishes.
#pragma once

#include "db/file/clock_trust.hpp"
#include "gateway/base/log_message.hpp"
#include "gateway/policy/lane_records.hpp"
#include "gateway/policy/list_shelf.hpp"
#include "gateway/policy/monitor_log.hpp"
#include "gateway/policy/own_addresses.hpp"
#include "gateway/policy/place_claims.hpp"
#include "gateway/policy/policy_source.hpp"
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
#include <string_view>
#include <thread>
#include <vector>

namespace gatehouse {

/// Called on the publisher's thread, or on the one that calls set_listeners() or
/// set_nat64_prefixes(), with no lock held. They must not throw.
struct PolicyEvents {
  std::function<void(std::uint64_t generation)> published;  ///< a newer generation: wake the lanes
  LogSink log;
  /// A sentence with names and addresses of clients' traffic, for the log level debug.
  std::function<void(const std::string& sentence)> detailed;
};

struct PolicyStatus {
  std::uint64_t generation = 0;
  std::int64_t revision = 0;              ///< of policy.db, as compiled
  bool has_policy = false;                ///< false: everything is denied
  std::string_view source = "none";       ///< "policy.db", "last good", "none"
  std::optional<std::int64_t> last_good;  ///< when the copy on disk was made, in Unix seconds
  std::vector<std::string> reasons;       ///< why the gateway's health is not ok because of policy; empty = it is
  std::vector<std::string> notes;         ///< what is going on and is no failure
  std::vector<policy::Problem> problems;
  std::vector<ListStatus> lists;
  std::uint64_t list_mismatches = 0;
};

/// What the publisher is given by tests.
struct PublisherParts {
  ListOpener open_list;                    ///< none: the files that `gatehouse policy import` writes
  std::function<std::int64_t()> unix_now;  ///< none: the system's clock
};

/// Thread-safe. A database that cannot be read leaves the last good policy in force, at start from its copy on disk;
/// when there was none, everything is denied until one can be read.
class PolicyPublisher {
 public:
  static constexpr std::chrono::milliseconds kPoll{200};

  /// Makes a missing policy.db with the starter policy, migrates an older one after a copy, compiles the lists and
  /// publishes the first generation before it returns. Never fails because of the database: see status().
  /// @throws std::system_error
  PolicyPublisher(std::filesystem::path database, PolicyEvents events, PublisherParts parts = {});
  ~PolicyPublisher();
  PolicyPublisher(const PolicyPublisher&) = delete;
  PolicyPublisher& operator=(const PolicyPublisher&) = delete;

  /// Where lanes record their verdicts; read by the publisher for the log and to verify hits of lists.
  [[nodiscard]] const std::shared_ptr<LaneRecords>& records() const noexcept { return records_; }
  /// Where plugins say which addresses are their own: in force 200 ms later.
  [[nodiscard]] const std::shared_ptr<PlaceClaims>& claims() const noexcept { return claims_; }
  [[nodiscard]] const std::shared_ptr<SnapshotBoard>& board() const noexcept { return board_; }
  [[nodiscard]] PolicyStatus status() const;
  /// The rows in force, for credentials; null while there is no policy.
  [[nodiscard]] std::shared_ptr<const policy::Model> model() const;
  [[nodiscard]] policy::Surroundings surroundings() const;

  /// The gateway's own listeners: in force when this returns. To be called before lanes run.
  void set_listeners(std::vector<policy::OwnListener> listeners);
  /// Where this network's translators embed IPv4 addresses: in force when this returns.
  void set_nat64_prefixes(std::vector<Prefix> prefixes);

 private:
  template <class Work>
  void locked(Work work);  // runs it under work_, then calls the events
  void run();
  void try_to_look() noexcept;
  void look();
  void take_model();
  void read_notices();
  void compile_and_publish();
  [[nodiscard]] bool read_addresses();
  [[nodiscard]] bool read_claims();
  void report_problems(const std::vector<policy::Problem>& before, const std::vector<policy::Problem>& now);
  void update_status();
  [[nodiscard]] std::vector<std::string> reasons() const;

  const PolicyEvents events_;
  const PublisherParts parts_;
  const std::shared_ptr<LaneRecords> records_ = std::make_shared<LaneRecords>();
  const std::shared_ptr<PlaceClaims> claims_ = std::make_shared<PlaceClaims>();

  std::mutex work_;  // guards what follows, up to details_
  PolicySource source_;
  ListShelf shelf_;
  MonitorLog monitors_;
  StrangeClientLog strange_clients_;
  bool changed_ = true;      // what is published is out of date
  bool unread_ = true;       // own addresses may have changed and are not read yet
  bool unreadable_ = false;  // the last reading of them failed, and that was said
  bool held_back_ = false;   // there is a first policy, but its lists are not compiled yet
  std::string trouble_;      // why the last look failed; "" = it did not
  std::int64_t compiled_at_ = 0;
  std::optional<std::int64_t> next_expiry_;
  std::uint64_t generation_ = 0;
  std::vector<policy::Problem> problems_;
  std::vector<LogMessage> messages_;  // for events_.log, once the lock is gone
  std::vector<std::string> details_;  // for events_.detailed, likewise

  mutable std::mutex published_;  // guards the next three, which any thread reads; work_ is locked first
  std::shared_ptr<const policy::Model> model_;
  policy::Surroundings surroundings_;
  PolicyStatus status_;

  std::shared_ptr<SnapshotBoard> board_;
  OwnAddressWatch addresses_;
  OwnAddresses known_addresses_;  // as they were read last
  db::ClockTrust trust_;          // of the thread: quotas begin anew by it
  UniqueFd stop_;
  std::thread thread_;
};

}  // namespace gatehouse
