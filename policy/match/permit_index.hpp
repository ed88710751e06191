// The port permits of one group, compiled: which row speaks first for a destination, a transport and a port, without
// walking the rows. Built once, then immutable and thread-safe.
#pragma once

#include "policy/match/address_ranges.hpp"
#include "policy/match/port_set.hpp"

#include <array>
#include <cstdint>
#include <map>
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
  bool opens_bogon = false;  ///< an allow whose CIDR lies wholly inside one bogon range
};

/// A permit's place in the order of judgement is its rank. What covers every address is one chain; each range of
/// addresses has at most one chain more, of the rows that name it. A chain is a map of disjoint port ranges for each
/// transport to the row that speaks first; equal chains are one.
class PermitIndex {
 public:
  static constexpr std::uint32_t kNone = UINT32_MAX;

  /// @param permits  in the order of judgement
  /// @param ranges   cut at the borders of every permit's destination; needed here only
  PermitIndex(std::vector<Permit> permits, const AddressRanges& ranges);

  /// The first row that allows or denies; nullptr = none.
  /// @param on_monitor  called with each monitor row in front of that one
  template <class OnMonitor>
  [[nodiscard]] const Permit* first(std::uint32_t range, bool is_public, std::uint16_t port, std::uint32_t transport,
                                    OnMonitor on_monitor) const {
    const Outcome* const general = &at(general_[is_public ? 1 : 0], port, transport);
    const Outcome* const special = &at(of_range_[range].rows, port, transport);
    const std::uint32_t winner = general->winner < special->winner ? general->winner : special->winner;
    for (const Outcome* outcome : {general, special})
      for (const std::uint32_t rank : std::span(monitors_).subspan(outcome->monitors, outcome->monitor_count))
        if (rank < winner) on_monitor(permits_[rank]);
    return winner == kNone ? nullptr : &permits_[winner];
  }
  /// The first row that opens this range of bogons; nullptr = none.
  [[nodiscard]] const Permit* opener(std::uint32_t range, std::uint16_t port, std::uint32_t transport) const noexcept {
    const Outcome& outcome = at(of_range_[range].openers, port, transport);
    return outcome.winner == kNone ? nullptr : &permits_[outcome.winner];
  }
  [[nodiscard]] const std::vector<Permit>& permits() const noexcept { return permits_; }

 private:
  /// Who speaks for a range of ports: the rank, and the monitors in front of it.
  struct Outcome {
    std::uint32_t winner = kNone;
    std::uint32_t monitors = 0, monitor_count = 0;
  };
  struct Segments {
    std::uint32_t begin = 0, end = 0;  // of starts_ and outcomes_
  };
  using Chain = std::array<Segments, 4>;  // tcp, udp, icmp, others
  struct RangeChains {
    std::uint32_t rows = 0, openers = 0;  // of chains_; 0 is the empty one
  };
  using Ranks = std::vector<std::uint32_t>;

  [[nodiscard]] const Outcome& at(std::uint32_t chain, std::uint16_t port, std::uint32_t transport) const noexcept;
  [[nodiscard]] std::uint32_t chain_of(const Ranks& ranks);
  [[nodiscard]] Segments segments_of(const Ranks& ranks, std::uint32_t transport);

  std::vector<Permit> permits_;
  std::vector<Chain> chains_;
  std::vector<std::uint16_t> starts_;
  std::vector<Outcome> outcomes_;
  std::vector<std::uint32_t> monitors_;
  std::array<std::uint32_t, 2> general_{};  // for addresses that are not public, for those that are
  std::vector<RangeChains> of_range_;
  std::map<Ranks, std::uint32_t> known_;  // while building
};

}  // namespace gatehouse::policy
