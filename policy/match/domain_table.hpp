// Domain rules in an exact hash table that is asked once a label, longest name first. Built once, then immutable and
// thread-safe.
#pragma once

#include "policy/match/name_suffixes.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace gatehouse::policy {

enum class DomainAction : std::uint8_t { none, block, allow, monitor };

/// The row that speaks for a name.
struct DomainDecision {
  DomainAction action = DomainAction::none;
  bool exact = false;
  std::int64_t row = 0;
  explicit operator bool() const noexcept { return action != DomainAction::none; }
};

class DomainTable {
 public:
  /// Asked only with suffixes of the same seed.
  explicit DomainTable(const HashSeed& seed = {}) : nodes_(0, Hash{seed}) {}

  /// `domain` is canonical. `decision.exact`: for that name alone, else also for all below it.
  void add(std::string_view domain, DomainDecision decision);

  [[nodiscard]] bool empty() const noexcept { return nodes_.empty(); }
  /// Is there a row that is more than a monitor?
  [[nodiscard]] bool decides() const noexcept { return decides_; }

  /// The best row written for exactly suffix `i` of `name`: allow beats block, then exact beats suffix, then the lower
  /// id. A monitor row is never the best; it comes through `monitor`.
  [[nodiscard]] DomainDecision find(const NameSuffixes& name, std::size_t i) const noexcept;
  [[nodiscard]] DomainDecision monitor(const NameSuffixes& name, std::size_t i) const noexcept;

 private:
  struct Probe {
    std::uint64_t hash;
    std::string_view text;
  };
  struct Hash {
    using is_transparent = void;
    using is_avalanching = void;  // boost need not mix it again
    HashSeed seed;
    std::size_t operator()(const std::string& name) const noexcept;
    std::size_t operator()(const Probe& probe) const noexcept { return probe.hash; }
  };
  struct Equal {
    using is_transparent = void;
    bool operator()(const std::string& a, const std::string& b) const noexcept { return a == b; }
    bool operator()(const Probe& a, const std::string& b) const noexcept { return a.text == b; }
    bool operator()(const std::string& a, const Probe& b) const noexcept { return a == b.text; }
  };
  /// Winners for the name itself and for names below it.
  struct Node {
    DomainDecision at, below, monitor_at, monitor_below;
  };
  [[nodiscard]] const Node* node(const NameSuffixes& name, std::size_t i) const noexcept;

  boost::unordered_flat_map<std::string, Node, Hash, Equal> nodes_;
  bool decides_ = false;
};

}  // namespace gatehouse::policy
