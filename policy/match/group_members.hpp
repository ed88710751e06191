// Which group is a client of? The rows of `group_members`, compiled. Built once, then immutable and thread-safe.
#pragma once

#include "policy/flow.hpp"
#include "policy/match/address_ranges.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace gatehouse::policy {

/// A group's place in a snapshot: 0 is judged first, `everyone` last. Means nothing in another generation.
enum class GroupIndex : std::uint32_t {};

/// Identities without a wildcard are looked up, sources are one search in ranges; only globs are walked.
class GroupMembers {
 public:
  enum class Kind : std::uint8_t { identity, listener, plugin };

  void add(GroupIndex group, Kind kind, const std::string& pattern);
  void add(GroupIndex group, const Prefix& source);
  /// To be called once, when all members are there.
  void finish();

  /// The first group that has the client among its members. Cost: a lookup, a search and a walk over the globs.
  [[nodiscard]] std::optional<GroupIndex> find(const ClientFacts& client) const noexcept;

 private:
  static constexpr auto kNone = static_cast<GroupIndex>(UINT32_MAX);  // after every group

  struct Glob {
    Kind kind;
    GroupIndex group;
    std::string pattern;
  };
  [[nodiscard]] GroupIndex of_source(const IpAddress& source) const noexcept;

  std::map<std::string, GroupIndex, std::less<>> identities_;  // that a member names in full
  std::vector<Glob> globs_;                                    // by group
  AddressRanges ranges_;                                       // of sources, if there are any
  std::vector<GroupIndex> of_range_;
  std::map<Prefix, GroupIndex> prefixes_;  // while building
};

}  // namespace gatehouse::policy
