// Clients that policy cannot tell apart, but by their sessions: who they are, and what they come to.
#pragma once

#include "gateway/policy/snapshot_board.hpp"
#include "policy/limiter.hpp"
#include "policy/snapshot.hpp"

#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace gatehouse {

/// What is known of a client.
struct JudgedFacts {
  std::string_view plugin;   ///< lives as long as the plugin's instance
  bool allow_local = false;  ///< the plugin's allow_local_destinations
  std::string listener;
  std::string identity;
  IpAddress source;
  const void* instance = nullptr;  ///< whose client it is

  bool operator==(const JudgedFacts&) const = default;
};

/// One lane's: where there are a hundred thousand of one asker, the group and the limits are found once. The lane's
/// thread only, but for what is const.
class AlikeClients {
 public:
  /// @param board   outlives it
  /// @param shared  the meters of its identity or source (KeyMeters), or null: then only session limits hold
  AlikeClients(SnapshotBoard& board, JudgedFacts facts, std::shared_ptr<policy::Meters> shared)
      : board_(board), facts_(std::move(facts)), shared_(std::move(shared)) {}
  AlikeClients(const AlikeClients&) = delete;
  AlikeClients& operator=(const AlikeClients&) = delete;

  [[nodiscard]] SnapshotBoard& board() const noexcept { return board_; }
  [[nodiscard]] const JudgedFacts& facts() const noexcept { return facts_; }
  [[nodiscard]] policy::Meters* shared() const noexcept { return shared_.get(); }
  [[nodiscard]] policy::GroupIndex group_in(const policy::Snapshot& snapshot) const noexcept {
    return snapshot.group_of(client_facts());
  }

  /// Finds the group and the limits anew when `policy` is of another generation. Does not allocate. Until the next one,
  /// limits are those of `policy`, which the lane's view keeps.
  void resolve(const PublishedPolicy& policy) noexcept {
    if (policy.snapshot->generation() != generation_) resolve_anew(policy);
  }
  [[nodiscard]] const policy::Standing& standing() const noexcept { return standing_; }
  /// The row of `admissions` that keeps them from their frontend, if there is one.
  [[nodiscard]] const std::optional<std::int64_t>& refused_by() const noexcept { return refused_by_; }
  [[nodiscard]] const PublishedPolicy::GroupLimits& limits() const noexcept { return *limits_; }
  /// Has each session limits of its own?
  [[nodiscard]] bool limits_sessions() const noexcept { return limits_sessions_; }
  [[nodiscard]] bool is_metered() const noexcept { return metered_; }
  [[nodiscard]] bool counts_destinations() const noexcept { return counts_destinations_; }

 private:
  void resolve_anew(const PublishedPolicy& policy) noexcept;
  [[nodiscard]] policy::ClientFacts client_facts() const noexcept {
    return {facts_.plugin, facts_.listener, facts_.identity, facts_.source};
  }

  SnapshotBoard& board_;
  const JudgedFacts facts_;
  const std::shared_ptr<policy::Meters> shared_;
  std::uint64_t generation_ = 0;
  const PublishedPolicy::GroupLimits* limits_ = nullptr;  // since resolve()
  policy::Standing standing_;
  std::optional<std::int64_t> refused_by_;
  bool limits_sessions_ = false, metered_ = false, counts_destinations_ = false;
};

}  // namespace gatehouse
