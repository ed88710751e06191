#include "policy/match/permit_index.hpp"

#include "policy/flow.hpp"

#include <algorithm>
#include <set>
#include <tuple>

namespace gatehouse::policy {
namespace {

constexpr std::uint32_t kOther = 0;  // a transport that no row can name
constexpr std::array kTransports{kTcp, kUdp, kIcmp, kOther};

std::size_t class_of(std::uint32_t transport) noexcept {
  switch (transport) {
    case kTcp: return 0;
    case kUdp: return 1;
    case kIcmp:
    case kIcmpV6: return 2;
    default: return 3;
  }
}

}  // namespace

PermitIndex::PermitIndex(std::vector<Permit> permits, const AddressRanges& ranges)
    : permits_(std::move(permits)), of_range_(ranges.size()) {
  static_cast<void>(chain_of({}));  // chain 0
  std::array<Ranks, 2> general;
  std::vector<Ranks> rows(ranges.size()), openers(ranges.size());
  for (std::uint32_t rank = 0; rank < permits_.size(); ++rank) {
    const Permit& permit = permits_[rank];
    if (permit.reach != Permit::Reach::prefix) {
      general[1].push_back(rank);
      if (permit.reach == Permit::Reach::everything) general[0].push_back(rank);
      continue;
    }
    const auto [first, end] = ranges.inside(permit.destination);
    for (std::uint32_t range = first; range < end; ++range) {
      rows[range].push_back(rank);
      if (permit.opens_bogon) openers[range].push_back(rank);
    }
  }
  for (std::size_t i = 0; i < general.size(); ++i) general_[i] = chain_of(general[i]);
  for (std::size_t i = 0; i < of_range_.size(); ++i) of_range_[i] = {chain_of(rows[i]), chain_of(openers[i])};
  known_.clear();
}

const PermitIndex::Outcome& PermitIndex::at(std::uint32_t chain, std::uint16_t port,
                                            std::uint32_t transport) const noexcept {
  const Segments segments = chains_[chain][class_of(transport)];
  std::uint32_t from = segments.begin;
  std::uint32_t count = segments.end - segments.begin;
  while (count > 1) {  // starts_[from] is never above port
    const std::uint32_t half = count / 2;
    from = starts_[from + half] <= port ? from + half : from;
    count -= half;
  }
  return outcomes_[from];
}

std::uint32_t PermitIndex::chain_of(const Ranks& ranks) {
  const auto [place, added] = known_.emplace(ranks, static_cast<std::uint32_t>(chains_.size()));
  if (!added) return place->second;
  Chain chain;
  for (std::size_t i = 0; i < chain.size(); ++i) chain[i] = segments_of(ranks, kTransports[i]);
  chains_.push_back(chain);
  return place->second;
}

PermitIndex::Segments PermitIndex::segments_of(const Ranks& ranks, std::uint32_t transport) {
  struct Border {
    std::uint32_t port;
    bool begins;
    std::uint32_t rank;
  };
  std::vector<Border> borders;
  for (const std::uint32_t rank : ranks) {
    if (permits_[rank].transport != 0 && permits_[rank].transport != transport) continue;
    for (const PortRange& range : permits_[rank].ports) {
      borders.push_back({range.first, true, rank});
      borders.push_back({std::uint32_t{range.last} + 1, false, rank});
    }
  }
  std::sort(borders.begin(), borders.end(), [](const Border& a, const Border& b) { return a.port < b.port; });

  Segments out{static_cast<std::uint32_t>(starts_.size()), 0};
  std::set<std::uint32_t> deciding, watching;  // ranks at the sweep's port
  std::size_t next = 0;
  for (std::uint32_t port = 0; port <= 65535;) {
    for (; next < borders.size() && borders[next].port == port; ++next) {
      auto& of = permits_[borders[next].rank].action == PermitAction::monitor ? watching : deciding;
      if (borders[next].begins)
        of.insert(borders[next].rank);
      else
        of.erase(borders[next].rank);
    }
    Outcome outcome;
    if (!deciding.empty()) outcome.winner = *deciding.begin();
    outcome.monitors = static_cast<std::uint32_t>(monitors_.size());
    monitors_.insert(monitors_.end(), watching.begin(), watching.lower_bound(outcome.winner));
    outcome.monitor_count = static_cast<std::uint32_t>(monitors_.size()) - outcome.monitors;
    starts_.push_back(static_cast<std::uint16_t>(port));
    outcomes_.push_back(outcome);
    if (next == borders.size()) break;
    port = borders[next].port;
  }
  out.end = static_cast<std::uint32_t>(starts_.size());
  return out;
}

}  // namespace gatehouse::policy
