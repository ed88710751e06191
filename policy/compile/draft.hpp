// A snapshot in the making: its parts, which groups are in force, and what is wrong with the rows. One a compile().
#pragma once

#include "policy/compile.hpp"
#include "policy/compile/faults.hpp"

#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::policy {

/// The row that is read.
struct RowAt {
  std::string_view table;
  std::int64_t id = 0;
  bool is_deny = false;   ///< a deny or block that somebody counts on
  bool in_force = false;  ///< the row is used all the same
};

class Draft {
 public:
  Draft(const HashSeed& seed, std::int64_t now);

  /// Does a row count now? Notes when it expires, if it does.
  [[nodiscard]] bool counts(const Life& life);
  /// @param words  what the fault's sentence has places for
  void problem(const RowAt& row, Fault fault, std::initializer_list<std::string_view> words = {});

  /// An enabled group, in the order of judgement; `everyone` comes last.
  void add_group(std::int64_t id, const std::string& name);
  void add_disabled_group(std::int64_t id) { index_[id] = std::nullopt; }
  /// The place of a group that `row` names; none where it is disabled, or where there is none: that is a problem.
  [[nodiscard]] std::optional<GroupIndex> group(std::int64_t id, const RowAt& row);
  [[nodiscard]] GroupPolicy& at(GroupIndex group) { return parts.groups[static_cast<std::size_t>(group)]; }
  /// Where the rules on names of a group, or of all, stand; nullptr as for group().
  [[nodiscard]] NameRules* names_of(const std::optional<std::int64_t>& group_id, const RowAt& row);

  /// What has been compiled. The draft is empty afterwards.
  [[nodiscard]] Compiled finish(std::uint64_t generation);

  SnapshotParts parts;

 private:
  const std::int64_t now_;
  std::map<std::int64_t, std::optional<GroupIndex>> index_;  // none = disabled
  std::vector<Problem> problems_;
  std::optional<std::int64_t> next_expiry_;
};

}  // namespace gatehouse::policy
