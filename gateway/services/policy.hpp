// gh.policy/1 over the published snapshots: clients, verdicts, limits. A client belongs to one lane; what all lanes
// and plugins share of an identity or source is its meters, which are atomics.
#pragma once

#include "gateway/flow_log/flow_log.hpp"
#include "gateway/policy/judged_client.hpp"
#include "gateway/policy/key_meters.hpp"
#include "gateway/policy/lane_clients.hpp"
#include "gateway/policy/lane_records.hpp"
#include "gateway/policy/place_claims.hpp"
#include "gateway/policy/snapshot_board.hpp"
#include "gateway/services/listener_names.hpp"
#include "gateway/store/session_table.hpp"

#include <gatehouse/abi.h>

#include <atomic>
#include <memory>
#include <string>

namespace gatehouse {

/// What one lane keeps: its view of the policy, and its clients. The lane's thread only, but for construction before
/// the lane runs and destruction after it has returned.
class PolicyLane {
 public:
  PolicyLane(std::shared_ptr<SnapshotBoard> board, std::shared_ptr<LaneRecord> record, std::shared_ptr<FlowLane> flows);
  ~PolicyLane();

  /// That the lane has moved to last; until its next refresh.
  [[nodiscard]] const policy::Snapshot& snapshot() const noexcept { return view_.snapshot(); }

 private:
  friend class PluginPolicy;
  /// Writes a refusal down, for the plugin and in the record.
  void refuse(const policy::Verdict& verdict, gh_verdict* out) const noexcept;

  /// Those of the client before, where it was alike and is still there. @throws std::bad_alloc
  [[nodiscard]] std::shared_ptr<AlikeClients> alike(JudgedFacts&& facts, SnapshotBoard& board, KeyMeters& keys);

  SnapshotView view_;  // keeps the board for the clients
  std::shared_ptr<LaneRecord> record_;
  std::shared_ptr<FlowLane> flows_;
  std::weak_ptr<AlikeClients> last_;  // to whom the client that came last is alike
  LaneClients clients_;
};

/// One plugin instance's gh.policy/1.
class PluginPolicy {
 public:
  struct Spec {
    std::string plugin;
    bool allow_local = false;  ///< its allow_local_destinations
    /// Null: no client is known by a listener.
    std::shared_ptr<const ListenerNames> listener_names = nullptr;
    /// Where it is written down whose traffic a session's is; null: nowhere.
    std::shared_ptr<SessionTable> sessions = nullptr;
    /// Where its lanes write down their verdicts; null: nobody reads them.
    std::shared_ptr<LaneRecords> records = nullptr;
    /// Where its lanes write down single flows; null: nobody reads them.
    std::shared_ptr<FlowLog> flow_log = nullptr;
    /// Where its claims are put in force; null: it can have none.
    std::shared_ptr<PlaceClaims> claims = nullptr;
  };
  PluginPolicy(std::shared_ptr<SnapshotBoard> board, std::shared_ptr<KeyMeters> keys, Spec spec);
  ~PluginPolicy() { let_go(); }
  PluginPolicy(const PluginPolicy&) = delete;
  PluginPolicy& operator=(const PluginPolicy&) = delete;

  /// Lives as long as *this.
  [[nodiscard]] const gh_policy* table() const noexcept { return &table_; }
  /// Some of the instance's lanes will never return: its clients are nobody's concurrent sessions any more, and there
  /// will be no others. Their flows go on counting until the process ends; its claims hold until the next instance of
  /// its plugin claims, so that nobody reaches what they protect.
  void abandoned() noexcept;
  /// The instance claims nothing any more.
  void let_go() noexcept;
  /// What a new lane needs.
  [[nodiscard]] std::unique_ptr<PolicyLane> make_lane() const;

 private:
  static std::uint64_t refresh(void* context, gh_lane* lane) noexcept;
  static gh_client* client_open(void* context, gh_lane* lane, const gh_client_facts* facts,
                                gh_verdict* verdict) noexcept;
  static void client_close(void* context, gh_lane* lane, gh_client* client) noexcept;
  static void limits(void* context, gh_lane* lane, gh_client* client, gh_limits* out) noexcept;
  static void check(void* context, gh_lane* lane, gh_client* client, const gh_flow* flow, gh_verdict* out) noexcept;
  static void check_batch(void* context, gh_lane* lane, gh_client* client, const gh_flow* flows, gh_verdict* out,
                          std::size_t count) noexcept;
  static gh_status flow_open(void* context, gh_lane* lane, gh_client* client, const gh_flow* flow, std::uint64_t now_ns,
                             gh_verdict* out) noexcept;
  static void flow_close(void* context, gh_lane* lane, gh_client* client) noexcept;
  static std::uint64_t charge(void* context, gh_lane* lane, gh_client* client, std::uint32_t direction,
                              std::uint64_t packets, std::uint64_t want, std::uint64_t least, std::uint64_t now_ns,
                              std::uint64_t* wait_ns) noexcept;
  static gh_status claim(void* context, const gh_prefix* prefixes, std::size_t count) noexcept;
  static std::uint32_t dns(void* context, gh_lane* lane, gh_client* client, const gh_flow* flow) noexcept;

  void account(const policy::Snapshot& snapshot, const JudgedClient& client, const gh_client_facts& facts) const;
  gh_client* open(PolicyLane& lane, const gh_client_facts& facts, gh_verdict* verdict);
  [[nodiscard]] static JudgedClient* client_of(gh_lane* lane, gh_client* client) noexcept;

  std::shared_ptr<SnapshotBoard> board_;
  std::shared_ptr<KeyMeters> keys_;
  Spec spec_;
  std::atomic<bool> abandoned_{false};
  gh_policy table_;
};

}  // namespace gatehouse
