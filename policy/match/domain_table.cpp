#include "policy/match/domain_table.hpp"

#include <tuple>

namespace gatehouse::policy {
namespace {

void keep_better(DomainDecision& winner, const DomainDecision& other) noexcept {
  const auto rank = [](const DomainDecision& d) {
    return std::tuple(d.action == DomainAction::allow ? 0 : 1, d.exact ? 0 : 1, d.row);
  };
  if (!winner || rank(other) < rank(winner)) winner = other;
}

}  // namespace

std::size_t DomainTable::Hash::operator()(const std::string& name) const noexcept { return hash_name(name, seed); }

void DomainTable::add(std::string_view domain, DomainDecision decision) {
  Node& node = nodes_[std::string(domain)];
  const bool monitors = decision.action == DomainAction::monitor;
  keep_better(monitors ? node.monitor_at : node.at, decision);
  if (!decision.exact) keep_better(monitors ? node.monitor_below : node.below, decision);
  decides_ = decides_ || !monitors;
}

const DomainTable::Node* DomainTable::node(const NameSuffixes& name, std::size_t i) const noexcept {
  if (nodes_.empty()) return nullptr;
  const auto found = nodes_.find(Probe{name.hash(i), name.text(i)});
  return found == nodes_.end() ? nullptr : &found->second;
}

DomainDecision DomainTable::find(const NameSuffixes& name, std::size_t i) const noexcept {
  const Node* const found = node(name, i);
  if (!found) return {};
  return i + 1 == name.count() ? found->at : found->below;
}

DomainDecision DomainTable::monitor(const NameSuffixes& name, std::size_t i) const noexcept {
  const Node* const found = node(name, i);
  if (!found) return {};
  return i + 1 == name.count() ? found->monitor_at : found->monitor_below;
}

}  // namespace gatehouse::policy
