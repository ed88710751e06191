// One generation of the policy, compiled: immutable, so that every lane may read it without a lock.
#pragma once

#include "policy/flow.hpp"
#include "policy/limits.hpp"
#include "policy/match/address_ranges.hpp"
#include "policy/match/admission_table.hpp"
#include "policy/match/credential_table.hpp"
#include "policy/match/domain_table.hpp"
#include "policy/match/group_members.hpp"
#include "policy/match/list_rule.hpp"
#include "policy/match/nat64_prefixes.hpp"
#include "policy/match/own_places.hpp"
#include "policy/match/permit_table.hpp"
#include "policy/match/port_set.hpp"
#include "policy/match/special_ranges.hpp"
#include "policy/verdict.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace gatehouse::policy {

/// Rules on names: of one group, or of all.
struct NameRules {
  DomainTable rows;
  std::vector<ListRule> lists;
  /// Is there one that is more than a monitor?
  [[nodiscard]] bool decides() const noexcept { return rows.decides() || lists_decide; }
  [[nodiscard]] bool empty() const noexcept { return rows.empty() && lists.empty(); }
  bool lists_decide = false;
};

/// What no row decides about a range of addresses.
struct RangeFacts {
  const SpecialRange* special = nullptr;
  Claimant claimed_by = Claimant::nobody;
  bool broadcast = false, own = false;
};

/// What holds for the clients of one group.
struct GroupPolicy {
  std::int64_t id = 0;
  std::string name;
  NameRules names;  ///< its own
  Limits limits;
};

/// What compile() fills in; a snapshot never changes it.
struct SnapshotParts {
  bool has_policy = true;
  std::vector<GroupPolicy> groups;  ///< by (priority, id), `everyone` last
  GroupMembers members;
  AdmissionTable admissions;
  HashSeed seed;                  ///< of all names
  NameRules names;                ///< that hold for all groups
  AddressRanges ranges;           ///< cut wherever anything about addresses changes for all groups
  std::vector<RangeFacts> facts;  ///< by range
  PermitTable permits;            ///< of all groups
  bool has_side_rows = false;     ///< that a flow may meet and that decide nothing, see SideHits
  OwnPlaces own;
  Nat64Prefixes nat64;
  CredentialTable credentials;
  Action default_action = Action::deny;
  std::optional<std::int64_t> default_row;  ///< of settings
  std::vector<PortRange> dns_ports{{53, 53}};
  bool judge_answers = true;
};

/// What a snapshot knows of one client: found once a client and generation, not per packet. Means nothing in another
/// generation.
struct Standing {
  GroupIndex group{};
  bool allow_local = false;              ///< its plugin's allow_local_destinations
  Claimant claimant = Claimant::nobody;  ///< its plugin among those that claim addresses
};

/// Thread-safe. No call but the constructor allocates or locks.
class Snapshot {
 public:
  Snapshot(SnapshotParts parts, std::uint64_t generation) : parts_(std::move(parts)), generation_(generation) {}
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;

  /// Denies everything, with Reason::no_policy: while no policy could be read.
  [[nodiscard]] static std::shared_ptr<const Snapshot> without_policy(std::uint64_t generation);

  [[nodiscard]] std::uint64_t generation() const noexcept { return generation_; }
  [[nodiscard]] bool has_policy() const noexcept { return parts_.has_policy; }

  /// The address that policy takes `address` for: the IPv4 address inside, where there is one.
  [[nodiscard]] IpAddress canonical(const IpAddress& address) const noexcept {
    return canonical_address(address, parts_.nat64).address;
  }

  /// The client's group: the first by (priority, id) that one of whose members matches, else `everyone`.
  /// Cost: as GroupMembers::find(); once a client and generation, not per packet.
  [[nodiscard]] GroupIndex group_of(const ClientFacts& client) const noexcept;
  /// May a client of that group use its frontend at all? The row that says no, or none.
  /// Cost: a walk over the rows of `admissions`; once a client and generation, not per packet.
  [[nodiscard]] std::optional<std::int64_t> refuses(GroupIndex index, const ClientFacts& client) const noexcept;
  [[nodiscard]] const GroupPolicy& group(GroupIndex index) const noexcept {
    return parts_.groups[static_cast<std::size_t>(index)];
  }
  /// Is what goes to that port taken for DNS?
  [[nodiscard]] bool is_dns_port(std::uint16_t port) const noexcept {
    return std::any_of(parts_.dns_ports.begin(), parts_.dns_ports.end(),
                       [port](const PortRange& range) { return range.first <= port && port <= range.last; });
  }
  /// Are answers to DNS queries judged for clients of that group? Not where no rule has a name.
  [[nodiscard]] bool judges_answers(GroupIndex index) const noexcept {
    return parts_.judge_answers && !(parts_.names.empty() && group(index).names.empty());
  }
  [[nodiscard]] const Limits& limits(GroupIndex index) const noexcept { return group(index).limits; }

  /// @param allow_local  the plugin's allow_local_destinations
  [[nodiscard]] Standing standing_of(const ClientFacts& client, bool allow_local) const noexcept {
    return {group_of(client), allow_local, parts_.own.claimant(client.plugin)};
  }
  /// The order of judgement (order.hpp) for one flow of such a client.
  [[nodiscard]] Verdict judge(const Standing& client, const Flow& flow) const noexcept;
  /// The same, and records the rows that matched on the way.
  [[nodiscard]] Verdict judge(const Standing& client, const Flow& flow, SideHits& hits) const noexcept;

  [[nodiscard]] const SnapshotParts& parts() const noexcept { return parts_; }

 private:
  SnapshotParts parts_;
  std::uint64_t generation_;
};

}  // namespace gatehouse::policy
