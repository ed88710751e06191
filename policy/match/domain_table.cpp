#include "policy/match/domain_table.hpp"

#include <tuple>

namespace gatehouse::policy {
namespace {

// FNV-1a, from the last character to the first, so that one pass gives the hash of every suffix. Keys come from people
// who may write policy, and texts are compared, so that no seed is needed.
constexpr std::uint64_t kHashStart = 0xcbf2'9ce4'8422'2325;

constexpr std::uint64_t hash_step(std::uint64_t hash, char c) noexcept {
  return (hash ^ static_cast<unsigned char>(c)) * 0x0000'0100'0000'01b3;
}

void keep_better(DomainDecision& winner, const DomainDecision& other) noexcept {
  const auto rank = [](const DomainDecision& d) {
    return std::tuple(d.action == DomainAction::allow ? 0 : 1, d.exact ? 0 : 1, d.row);
  };
  if (!winner || rank(other) < rank(winner)) winner = other;
}

}  // namespace

NameSuffixes::NameSuffixes(std::string_view name) noexcept {
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.size() > kLongest || name.starts_with('.') || name.ends_with('.')) return;
  if (name.find("..") != name.npos) return;
  valid_ = true;
  length_ = name.size();
  std::uint64_t hash = kHashStart;
  for (std::size_t i = length_; i-- > 0;) {
    const char c = name[i];
    text_[i] = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
    if (c == '.') {
      starts_[count_] = static_cast<std::uint8_t>(i + 1);
      hashes_[count_++] = hash;
    }
    hash = hash_step(hash, text_[i]);
  }
  if (length_ == 0) return;
  starts_[count_] = 0;
  hashes_[count_++] = hash;
}

std::size_t DomainTable::Hash::operator()(const std::string& name) const noexcept {
  std::uint64_t hash = kHashStart;
  for (std::size_t i = name.size(); i-- > 0;) hash = hash_step(hash, name[i]);
  return hash;
}

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
