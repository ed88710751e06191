// One client of one plugin as policy sees it. The lane's thread only, but for reserve() and end_session().
#pragma once

#include "gateway/policy/session_meters.hpp"
#include "gateway/policy/snapshot_board.hpp"
#include "policy/limiter.hpp"
#include "policy/snapshot.hpp"

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <string>

namespace gatehouse {

/// What is known of a client; the clients of one asker share them.
struct JudgedFacts {
  std::string_view plugin;   ///< lives as long as the plugin's instance
  bool allow_local = false;  ///< the plugin's allow_local_destinations
  std::string listener;
  std::string identity;
  IpAddress source;
  const void* instance = nullptr;  ///< whose client it is

  bool operator==(const JudgedFacts&) const = default;
};

class JudgedClient {
 public:
  /// Enters itself on the board, which outlives it. Locks and allocates.
  /// @param session  the meters of its session, which other clients of that session share
  /// @param shared   the meters of its identity or source (KeyMeters), or null: then only session limits hold
  JudgedClient(SnapshotBoard& board, std::shared_ptr<const JudgedFacts> facts, std::shared_ptr<SessionMeters> session,
               std::shared_ptr<policy::Meters> shared);
  ~JudgedClient();
  JudgedClient(const JudgedClient&) = delete;
  JudgedClient& operator=(const JudgedClient&) = delete;

  /// Gets the meters the memory that they need under `snapshot`. Any thread; called by the board before a lane can meet
  /// that snapshot.
  void reserve(const policy::Snapshot& snapshot) noexcept;
  /// Finds the group and the limits anew when `policy` is of another generation. Meters keep their state. Does not
  /// allocate. Until the next one, limits are those of `policy`, which its lane's view keeps.
  void resolve(const PublishedPolicy& policy) noexcept {
    if (policy.snapshot->generation() != generation_) resolve_anew(policy);
  }
  [[nodiscard]] policy::GroupIndex group() const noexcept { return standing_.group; }
  [[nodiscard]] const policy::Standing& standing() const noexcept { return standing_; }
  /// The row of `admissions` that keeps it from its frontend, if there is one.
  [[nodiscard]] const std::optional<std::int64_t>& refused_by() const noexcept { return refused_by_; }
  /// Counts the session among those of its identity or source, once, after resolve(). Locks and allocates.
  /// @return the limit that refuses it, or null
  [[nodiscard]] const policy::Limit* begin_session(const policy::Limits& limits);
  /// Undoes that, once. Any thread: for an instance that was abandoned.
  void end_session() noexcept;
  [[nodiscard]] const void* instance() const noexcept { return facts_->instance; }
  /// Counts a flow that begins, as policy::open_flow() does; close_flow() is its end, and *this ends what is open.
  [[nodiscard]] policy::FlowOpening open_flow(std::uint64_t destination, const policy::Moment& now) noexcept {
    const policy::FlowOpening out = policy::open_flow(chain(), destination, now);
    if (out.refusal == policy::FlowRefusal::none) ++open_flows_;
    return out;
  }
  void close_flow() noexcept {
    --open_flows_;
    policy::close_flow(chain());
  }
  /// Session first, then what it shares where there is that.
  [[nodiscard]] std::span<const policy::MeterLink> chain() const noexcept { return {chain_.data(), links_}; }
  [[nodiscard]] const IpAddress& source() const noexcept { return facts_->source; }
  [[nodiscard]] const std::string& identity() const noexcept { return facts_->identity; }
  [[nodiscard]] bool is_metered() const noexcept { return metered_; }
  [[nodiscard]] bool counts_destinations() const noexcept { return counts_destinations_; }

 private:
  void resolve_anew(const PublishedPolicy& policy) noexcept;
  [[nodiscard]] policy::GroupIndex group_in(const policy::Snapshot& snapshot) const noexcept {
    return snapshot.group_of(facts());
  }
  [[nodiscard]] policy::ClientFacts facts() const noexcept {
    return {facts_->plugin, facts_->listener, facts_->identity, facts_->source};
  }

  SnapshotBoard& board_;
  const std::shared_ptr<const JudgedFacts> facts_;
  const std::shared_ptr<SessionMeters> session_;
  const std::shared_ptr<policy::Meters> shared_;
  std::array<policy::MeterLink, 2> chain_;
  const std::size_t links_;
  std::uint64_t open_flows_ = 0;  // of this client; the meters have those of the session's other clients too
  std::uint64_t generation_ = 0;
  policy::Standing standing_;
  std::optional<std::int64_t> refused_by_;
  bool metered_ = false;
  bool counts_destinations_ = false;
  std::atomic<bool> session_counted_{false};
  std::size_t entry_ = 0;  // on the board
};

}  // namespace gatehouse
