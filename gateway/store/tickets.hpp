// Who waits for a record to be durable.
#pragma once

#include "gateway/store/durability.hpp"

#include <algorithm>
#include <forward_list>
#include <vector>

namespace gatehouse {

/// In a pointer's room: mostly there is nobody.
class Tickets {
 public:
  void add(Durability::Ticket ticket) {
    if (ticket != 0) tickets_.push_front(ticket);
  }
  /// Them all, in the order in which they came.
  [[nodiscard]] std::vector<Durability::Ticket> take() {
    std::vector<Durability::Ticket> out(tickets_.begin(), tickets_.end());
    std::ranges::reverse(out);
    tickets_.clear();
    return out;
  }

 private:
  std::forward_list<Durability::Ticket> tickets_;  // the last one first
};

}  // namespace gatehouse
