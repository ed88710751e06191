// Who waits for which record to be durable.
#pragma once

#include "gateway/store/durability.hpp"

#include <algorithm>
#include <unordered_map>
#include <vector>

namespace gatehouse {

/// Of many records, of which few are waited for: they have no room for it. Under the lock of those records.
class Tickets {
 public:
  /// @throws std::bad_alloc, then nothing has changed
  void add(const ChangeLink& record, Durability::Ticket ticket) {
    if (ticket != 0) tickets_.emplace(&record, ticket);
  }
  /// Them all, in the order in which they came.
  [[nodiscard]] std::vector<Durability::Ticket> take(const ChangeLink& record) {
    const auto [begin, end] = tickets_.equal_range(&record);
    std::vector<Durability::Ticket> out;
    for (auto at = begin; at != end; ++at) out.push_back(at->second);
    std::ranges::sort(out);
    tickets_.erase(begin, end);
    return out;
  }
  void forget(const ChangeLink& record) noexcept { tickets_.erase(&record); }

 private:
  std::unordered_multimap<const ChangeLink*, Durability::Ticket> tickets_;
};

}  // namespace gatehouse
