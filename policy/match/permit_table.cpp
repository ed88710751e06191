#include "policy/match/permit_table.hpp"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

namespace gatehouse::policy {
namespace {

constexpr std::uint32_t kOther = 0;  // a transport that no row can name
constexpr std::array kTransports{kTcp, kUdp, kIcmp, kOther};
constexpr std::size_t kMerged = 32;        // rows of a chain that are its prefix's own or those of prefixes around it
constexpr std::size_t kMergedRanges = 64;  // of ports, of those around it
constexpr std::size_t kMonitors = 64;      // entries of monitors for each port range of a row
constexpr std::size_t kMonitorsAtLeast = 4096, kMonitorsAtMost = std::size_t{1} << 26U;

/// Larger prefixes before those inside them.
bool is_before(const PrefixBits& a, const PrefixBits& b) noexcept {
  const auto key = [](const PrefixBits& p) { return std::tie(p.base.family, p.base.high, p.base.low, p.length); };
  return key(a) < key(b);
}

}  // namespace

/// What is needed while a table is made.
class PermitTable::Builder {
 public:
  Builder(PermitTable& table, const std::vector<Permit>& permits) : table_(table), permits_(permits) {
    for (const Permit& permit : permits) most_monitors_ += kMonitors * permit.ports.size();
    most_monitors_ = std::min(most_monitors_, kMonitorsAtMost);
  }

  /// Of the rows with these ranks, which ascend.
  void fill(Part& part, const Ranks& ranks, const AddressRanges& ranges);

 private:
  /// Of a node while its part is made.
  struct Making {
    Ranks own;
    std::uint32_t around;  // the next larger prefix, of the table's nodes
  };
  struct Border {
    std::uint32_t port;
    bool begins;
    std::uint32_t rank, end;
  };
  /// A row that allows or denies, up to a port.
  struct Deciding {
    std::uint32_t rank, end;
    /// The first rank is on top of the heap.
    friend bool operator<(const Deciding& a, const Deciding& b) noexcept { return a.rank > b.rank; }
  };
  [[nodiscard]] std::size_t ranges_of(const Ranks& ranks) const;
  void add_node(Part& part, Ranks ranks, const AddressRanges& ranges);
  /// @param ranks  ascending
  Chain chain_of(const Ranks& ranks);
  Segments segments_of(const Ranks& ranks);
  void pass(const Border& border);
  [[nodiscard]] std::uint32_t winner_at(std::uint32_t port);
  void list_monitors(std::uint32_t winner);
  void put(std::uint32_t port);

  PermitTable& table_;
  const std::vector<Permit>& permits_;
  std::vector<Border> borders_;
  std::vector<Deciding> deciding_;    // a heap of those that began: what has ended goes when it comes to the top
  std::set<std::uint32_t> watching_;  // ranks of monitors at the sweep's port
  std::size_t monitors_from_ = 0;     // of the table's monitors: the first ones of watching_, as many as were in front
  std::size_t most_monitors_ = kMonitorsAtLeast;
  std::vector<Making> making_;  // of the part's nodes
  std::uint32_t first_node_ = 0;
  Segments nobody_;  // where no row speaks for any port
};

PermitTable::PermitTable(const std::vector<Permit>& permits, std::size_t groups, const AddressRanges& ranges) {
  Builder builder(*this, permits);
  rows_.reserve(permits.size());
  Ranks all;
  std::vector<Ranks> of_group;
  for (std::uint32_t rank = 0; rank < permits.size(); ++rank) {
    rows_.push_back({permits[rank].row, permits[rank].action});
    if (permits[rank].group && of_group.empty()) of_group.resize(groups);
    (permits[rank].group ? of_group[static_cast<std::size_t>(*permits[rank].group)] : all).push_back(rank);
  }
  builder.fill(shared_, all, ranges);
  if (of_group.empty()) return;
  own_of_group_.assign(groups, kNone);
  own_.reserve(static_cast<std::size_t>(
      std::count_if(of_group.begin(), of_group.end(), [](const Ranks& ranks) { return !ranks.empty(); })));
  std::vector<PrefixBits> borders;
  for (std::size_t group = 0; group < groups; ++group) {
    if (of_group[group].empty()) continue;
    borders.clear();
    for (const std::uint32_t rank : of_group[group])
      if (permits[rank].reach == Permit::Reach::prefix) borders.push_back(permits[rank].destination);
    own_of_group_[group] = static_cast<std::uint32_t>(own_.size());
    OwnPart& own = own_.emplace_back();
    if (!borders.empty()) own.ranges = AddressRanges(borders, AddressRanges::Search::as_large);
    builder.fill(own.part, of_group[group], own.ranges);
  }
}

const PermitTable::Row* PermitTable::opener(const Target& target) const noexcept {
  std::uint32_t winner = kNone;
  each_node(target, [&](const Node& node) {
    if (node.openers != kNone) winner = std::min(winner, at(openers_[node.openers], target).winner);
  });
  return winner == kNone ? nullptr : &rows_[winner];
}

std::size_t PermitTable::bytes() const noexcept {
  const auto of = [](const auto& vector) { return vector.capacity() * sizeof(vector[0]); };
  std::size_t out = of(rows_) + of(starts_) + of(outcomes_) + of(monitors_) + of(nodes_) + of(openers_) + of(own_) +
                    of(own_of_group_) + of(shared_.of_range);
  for (const OwnPart& own : own_) out += of(own.part.of_range) + own.ranges.bytes();
  return out;
}

void PermitTable::Builder::fill(Part& part, const Ranks& ranks, const AddressRanges& ranges) {
  std::array<Ranks, 2> general;
  Ranks placed;
  for (const std::uint32_t rank : ranks) {
    switch (permits_[rank].reach) {
      case Permit::Reach::prefix: placed.push_back(rank); break;
      case Permit::Reach::everything: general[0].push_back(rank); [[fallthrough]];
      case Permit::Reach::public_only: general[1].push_back(rank); break;
    }
  }
  part.has_general = !general[1].empty();
  for (std::size_t i = 0; part.has_general && i < general.size(); ++i)
    part.general[i] = i == 1 && general[1] == general[0] ? part.general[0] : chain_of(general[i]);
  if (placed.empty()) return;
  making_.clear();
  first_node_ = static_cast<std::uint32_t>(table_.nodes_.size());
  part.of_range.assign(ranges.size(), kNone);
  std::stable_sort(placed.begin(), placed.end(), [&](std::uint32_t a, std::uint32_t b) {
    return is_before(permits_[a].destination, permits_[b].destination);
  });
  Ranks same;  // of one prefix
  for (const std::uint32_t rank : placed) {
    if (!same.empty() && is_before(permits_[same.back()].destination, permits_[rank].destination)) {
      add_node(part, std::move(same), ranges);
      same.clear();
    }
    same.push_back(rank);
  }
  add_node(part, std::move(same), ranges);
}

std::size_t PermitTable::Builder::ranges_of(const Ranks& ranks) const {
  std::size_t out = 0;
  for (const std::uint32_t rank : ranks) out += permits_[rank].ports.size();
  return out;
}

/// After the nodes of all prefixes around it: what it fills was all the smallest one's.
void PermitTable::Builder::add_node(Part& part, Ranks ranks, const AddressRanges& ranges) {
  const auto [first, end] = ranges.inside(permits_[ranks.front()].destination);
  const std::uint32_t around = part.of_range[first];
  Ranks merged = ranks;
  Node node;
  node.around = around;
  std::size_t outer_ranges = 0;
  while (node.around != kNone) {
    const Making& outer = making_[node.around - first_node_];
    if (merged.size() + outer.own.size() > kMerged) break;
    outer_ranges += ranges_of(outer.own);
    if (outer_ranges > kMergedRanges) break;
    merged.insert(merged.end(), outer.own.begin(), outer.own.end());
    node.around = outer.around;
  }
  std::sort(merged.begin(), merged.end());
  node.rows = chain_of(merged);
  std::erase_if(merged, [&](std::uint32_t rank) { return !permits_[rank].opens_bogon; });
  if (!merged.empty()) {
    node.openers = static_cast<std::uint32_t>(table_.openers_.size());
    table_.openers_.push_back(chain_of(merged));
  }
  std::fill(part.of_range.begin() + first, part.of_range.begin() + end,
            static_cast<std::uint32_t>(table_.nodes_.size()));
  table_.nodes_.push_back(node);
  making_.push_back({std::move(ranks), around});
}

PermitTable::Chain PermitTable::Builder::chain_of(const Ranks& ranks) {
  Chain chain;
  std::array<Ranks, kClasses> of_class;
  for (std::size_t i = 0; i < chain.size(); ++i) {
    for (const std::uint32_t rank : ranks)
      if (permits_[rank].transport == 0 || permits_[rank].transport == kTransports[i]) of_class[i].push_back(rank);
    const auto before = of_class.begin() + static_cast<std::ptrdiff_t>(i);
    const auto twin = std::find(of_class.begin(), before, of_class[i]);
    chain[i] = twin != before ? chain[static_cast<std::size_t>(twin - of_class.begin())] : segments_of(of_class[i]);
  }
  return chain;
}

PermitTable::Segments PermitTable::Builder::segments_of(const Ranks& ranks) {
  if (ranks.empty() && nobody_.end != 0) return nobody_;
  borders_.clear();
  for (const std::uint32_t rank : ranks) {
    for (const PortRange& range : permits_[rank].ports) {
      const std::uint32_t end = std::uint32_t{range.last} + 1;
      borders_.push_back({range.first, true, rank, end});
      borders_.push_back({end, false, rank, end});
    }
  }
  std::sort(borders_.begin(), borders_.end(), [](const Border& a, const Border& b) { return a.port < b.port; });
  Segments out{static_cast<std::uint32_t>(table_.starts_.size()), 0};
  deciding_.clear();
  watching_.clear();
  monitors_from_ = table_.monitors_.size();
  std::size_t next = 0;
  for (std::uint32_t port = 0; port <= 65535;) {
    for (; next < borders_.size() && borders_[next].port == port; ++next) pass(borders_[next]);
    put(port);
    if (next == borders_.size()) break;
    port = borders_[next].port;
  }
  out.end = static_cast<std::uint32_t>(table_.starts_.size());
  if (ranks.empty()) nobody_ = out;
  return out;
}

void PermitTable::Builder::pass(const Border& border) {
  if (permits_[border.rank].action == PermitAction::monitor) {
    if (border.begins)
      watching_.insert(border.rank);
    else
      watching_.erase(border.rank);
    monitors_from_ = table_.monitors_.size();
  } else if (border.begins) {
    deciding_.push_back({border.rank, border.end});
    std::push_heap(deciding_.begin(), deciding_.end());
  }
}

std::uint32_t PermitTable::Builder::winner_at(std::uint32_t port) {
  while (!deciding_.empty() && deciding_.front().end <= port) {
    std::pop_heap(deciding_.begin(), deciding_.end());
    deciding_.pop_back();
  }
  return deciding_.empty() ? kNone : deciding_.front().rank;
}

/// Those in front of the winner. Where only the winner is another one, the list of the port before goes on.
void PermitTable::Builder::list_monitors(std::uint32_t winner) {
  Ranks& list = table_.monitors_;
  auto next = list.size() == monitors_from_ ? watching_.begin() : watching_.upper_bound(list.back());
  for (; next != watching_.end() && *next < winner; ++next) {
    if (list.size() == most_monitors_) {
      if (!table_.uncounted_) table_.uncounted_ = permits_[*next].row;
      return;
    }
    list.push_back(*next);
  }
}

/// What holds from this port on.
void PermitTable::Builder::put(std::uint32_t port) {
  Outcome outcome;
  outcome.winner = winner_at(port);
  list_monitors(outcome.winner);
  const auto from = table_.monitors_.begin() + static_cast<std::ptrdiff_t>(monitors_from_);
  outcome.monitors = static_cast<std::uint32_t>(monitors_from_);
  outcome.monitor_count =
      static_cast<std::uint32_t>(std::lower_bound(from, table_.monitors_.end(), outcome.winner) - from);
  table_.starts_.push_back(static_cast<std::uint16_t>(port));
  table_.outcomes_.push_back(outcome);
}

}  // namespace gatehouse::policy
