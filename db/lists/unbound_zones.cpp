#include "db/lists/unbound_zones.hpp"

#include <gatehouse/base/domain.hpp>

#include <algorithm>

namespace gatehouse::db {
namespace {

using policy::ListEntry;
using policy::ListMark;
using namespace unbound_words;

ListMark settled(ListMark mark) noexcept {
  if (mark == ListMark::important || mark == kAlwaysBlocked) return ListMark::listed;
  if (mark == ListMark::important_exception || mark == kAlwaysPassed) return ListMark::exception;
  return mark;
}

}  // namespace

/// Does the nearest zone above the name answer whatever data there is?
bool UnboundZones::is_ignored(std::string_view name) const noexcept {
  const auto zone = std::find_if(zones_.rbegin(), zones_.rend(), [&](const Zone& z) { return is_below(name, z.name); });
  return zone != zones_.rend() && zone->ignores_data;
}

ListEntry UnboundZones::settle(std::string_view name, ListEntry said) {
  while (!zones_.empty() && !name.ends_with(zones_.back().name)) zones_.pop_back();
  if (said.below == ListMark::none) return is_ignored(name) ? ListEntry::none : ListEntry{settled(said.at), said.below};
  zones_.push_back({std::string(name), said.below >= kAlwaysBlocked});
  const ListMark at = settled(said.at);
  return {at, said.below == kAsItself ? at : settled(said.below)};
}

}  // namespace gatehouse::db
