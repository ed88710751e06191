#include "policy/compile/draft.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

namespace gatehouse::policy {

Draft::Draft(const HashSeed& seed, std::int64_t now) : now_(now) {
  parts.seed = seed;
  parts.names.rows = DomainTable(seed);
}

bool Draft::counts(const Life& life) {
  if (!life.counts_at(now_)) return false;
  if (life.expires_at) next_expiry_ = std::min(next_expiry_.value_or(*life.expires_at), *life.expires_at);
  return true;
}

void Draft::problem(const RowAt& row, Fault fault, std::initializer_list<std::string_view> words) {
  problems_.push_back({std::string(row.table), row.id, sentence_of(fault, words), row.is_deny, row.in_force});
}

void Draft::add_group(std::int64_t id, const std::string& name) {
  index_[id] = static_cast<GroupIndex>(parts.groups.size());
  GroupPolicy& group = parts.groups.emplace_back();
  group.id = id;
  group.name = name;
  group.names.rows = DomainTable(parts.seed);
}

std::optional<GroupIndex> Draft::group(std::int64_t id, const RowAt& row) {
  const auto found = index_.find(id);
  if (found != index_.end()) return found->second;
  problem(row, Fault::no_group, {std::to_string(id)});
  return {};
}

NameRules* Draft::names_of(const std::optional<std::int64_t>& group_id, const RowAt& row) {
  if (!group_id) return &parts.names;
  const auto of = group(*group_id, row);
  return of ? &at(*of).names : nullptr;
}

Compiled Draft::finish(std::uint64_t generation) {
  std::stable_sort(problems_.begin(), problems_.end(), [](const Problem& a, const Problem& b) {
    return std::tie(a.table, a.row) < std::tie(b.table, b.row);
  });
  Compiled out;
  out.snapshot = std::make_shared<const Snapshot>(std::move(parts), generation);
  out.degraded = std::any_of(problems_.begin(), problems_.end(), [](const Problem& p) { return p.is_deny; });
  out.problems = std::move(problems_);
  out.next_expiry = next_expiry_;
  return out;
}

}  // namespace gatehouse::policy
