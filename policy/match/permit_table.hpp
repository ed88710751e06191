// The port permits of all groups, compiled: which row speaks first for a client's group, a destination, a transport and
// a port, without walking the rows. Built once, then immutable and thread-safe.
#pragma once

#include "policy/flow.hpp"
#include "policy/match/address_ranges.hpp"
#include "policy/match/group_members.hpp"
#include "policy/match/port_set.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace gatehouse::policy {

enum class PermitAction : std::uint8_t { deny, allow, monitor };

/// One row of port_permits, understood.
struct Permit {
  std::int64_t row = 0;
  PermitAction action = PermitAction::allow;
  std::uint32_t transport = 0;   ///< IP protocol number; 0 = any
  std::vector<PortRange> ports;  ///< sorted, disjoint
  PrefixBits destination;        ///< for Reach::prefix
  /// Without a CIDR an allow covers public addresses only; a deny and a monitor cover whatever comes this far.
  enum class Reach : std::uint8_t { prefix, public_only, everything } reach = Reach::public_only;
  bool opens_bogon = false;           ///< an allow whose CIDR lies wholly inside one bogon range
  std::optional<GroupIndex> group{};  ///< whose it is; none = all groups'
};

/// A permit's place in the order of judgement is its rank. Rows that name no group stand once, those of a group in a
/// part of its own. In each part what covers every address is one chain, and each prefix that rows name has one, of its
/// own rows and of those of prefixes around it, up to a constant number of rows and of their port ranges; from the next
/// one around on the search goes on. A chain is a map of disjoint port ranges for each transport to the row that speaks
/// first, and to the monitors in front of it, of which all chains together have so many at most for each port range of
/// a row. So memory is in proportion to the rows and their port ranges, and so is, but for sorting, the time it takes.
class PermitTable {
 public:
  static constexpr std::uint32_t kNone = UINT32_MAX;

  PermitTable() = default;  ///< no permits
  /// @param permits  in the order of judgement
  /// @param groups   how many there are
  /// @param ranges   cut at the borders of the prefixes of rows without a group; needed here only
  PermitTable(const std::vector<Permit>& permits, std::size_t groups, const AddressRanges& ranges);

  /// What a permit comes to.
  struct Row {
    std::int64_t row = 0;
    PermitAction action = PermitAction::allow;
  };
  /// A flow as permits see it.
  struct Target {
    GroupIndex group{};       ///< of its client
    std::uint32_t range = 0;  ///< of `address`, in the ranges that the table was made with
    const AddressBits& address;
    std::uint16_t port = 0;
    std::uint32_t transport = 0;
  };
  /// The first row that allows or denies; nullptr = none.
  /// @param on_monitor  called with each monitor row in front of that one
  template <class OnMonitor>
  [[nodiscard]] const Row* first(const Target& target, bool is_public, OnMonitor on_monitor) const {
    std::uint32_t winner = kNone;
    each_chain(target, is_public, [&](const Chain& chain) { winner = std::min(winner, at(chain, target).winner); });
    if (!monitors_.empty()) {
      each_chain(target, is_public, [&](const Chain& chain) {
        const Outcome& found = at(chain, target);
        for (const std::uint32_t rank : std::span(monitors_).subspan(found.monitors, found.monitor_count))
          if (rank < winner) on_monitor(rows_[rank]);
      });
    }
    return winner == kNone ? nullptr : &rows_[winner];
  }
  /// The first row that opens the target's range of bogons; nullptr = none.
  [[nodiscard]] const Row* opener(const Target& target) const noexcept;

  /// A monitor row that is not counted everywhere, as too many of them meet; none: all are.
  [[nodiscard]] std::optional<std::int64_t> uncounted() const noexcept { return uncounted_; }
  /// What it holds, in bytes, for tests.
  [[nodiscard]] std::size_t bytes() const noexcept;

 private:
  /// Who speaks for a range of ports: the rank, and the monitors in front of it.
  struct Outcome {
    std::uint32_t winner = kNone;
    std::uint32_t monitors = 0, monitor_count = 0;
  };
  struct Segments {
    std::uint32_t begin = 0, end = 0;  // of starts_ and outcomes_
  };
  static constexpr std::size_t kClasses = 4;  // tcp, udp, icmp, others
  using Chain = std::array<Segments, kClasses>;
  /// A prefix that rows of a part name.
  struct Node {
    Chain rows;
    std::uint32_t openers = kNone;  // of openers_
    std::uint32_t around = kNone;   // the next larger one whose rows are not in `rows`
  };
  /// The rows of one group, or of all.
  struct Part {
    std::array<Chain, 2> general{};       // for addresses that are not public, for those that are
    std::vector<std::uint32_t> of_range;  // the smallest prefix around it; empty: no row names one
    bool has_general = false;
  };
  struct OwnPart {
    Part part;
    AddressRanges ranges;  // cut at its own prefixes only
  };
  using Ranks = std::vector<std::uint32_t>;
  class Builder;

  [[nodiscard]] static std::size_t class_of(std::uint32_t transport) noexcept {
    switch (transport) {
      case kTcp: return 0;
      case kUdp: return 1;
      case kIcmp:
      case kIcmpV6: return 2;
      default: return 3;
    }
  }
  /// The chain's outcome for a port.
  [[nodiscard]] const Outcome& at(const Chain& chain, const Target& target) const noexcept {
    const Segments segments = chain[class_of(target.transport)];
    std::uint32_t from = segments.begin;
    std::uint32_t count = segments.end - segments.begin;
    while (count > 1) {  // starts_[from] is never above the port
      const std::uint32_t half = count / 2;
      from = starts_[from + half] <= target.port ? from + half : from;
      count -= half;
    }
    return outcomes_[from];
  }
  /// Calls visit(const Node&) for prefixes around the target, of rows of all groups and of its own.
  template <class Visit>
  void each_node(const Target& target, Visit visit) const {
    const auto climb = [&](const Part& part, std::uint32_t range) {
      for (std::uint32_t node = part.of_range[range]; node != kNone; node = nodes_[node].around) visit(nodes_[node]);
    };
    if (!shared_.of_range.empty()) climb(shared_, target.range);
    const OwnPart* const own = own_of(target.group);
    if (own != nullptr && !own->part.of_range.empty()) climb(own->part, own->ranges.find(target.address));
  }
  template <class Visit>
  void each_chain(const Target& target, bool is_public, Visit visit) const {
    if (shared_.has_general) visit(shared_.general[is_public ? 1 : 0]);
    const OwnPart* const own = own_of(target.group);
    if (own != nullptr && own->part.has_general) visit(own->part.general[is_public ? 1 : 0]);
    each_node(target, [&](const Node& node) { visit(node.rows); });
  }
  [[nodiscard]] const OwnPart* own_of(GroupIndex group) const noexcept {
    if (own_of_group_.empty()) return nullptr;
    const std::uint32_t own = own_of_group_[static_cast<std::size_t>(group)];
    return own == kNone ? nullptr : &own_[own];
  }

  std::vector<Row> rows_;  // by rank
  std::vector<std::uint16_t> starts_;
  std::vector<Outcome> outcomes_;
  std::vector<std::uint32_t> monitors_;
  std::vector<Node> nodes_;
  std::vector<Chain> openers_;
  Part shared_;
  std::vector<OwnPart> own_;
  std::vector<std::uint32_t> own_of_group_;  // of own_; empty: no group has rows of its own
  std::optional<std::int64_t> uncounted_;
};

}  // namespace gatehouse::policy
