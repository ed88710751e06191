// How often an endpoint was asked for, by which way, and what came of it.
#pragma once

#include "plugins/geneve-relay/allocation/allocator.hpp"

#include <gatehouse/plugin/lane_context.hpp>

#include <array>
#include <string_view>

namespace gatehouse::geneve_relay {

/// The cause's name in metrics.
[[nodiscard]] std::string_view to_text(AllocationRefusal::Cause cause) noexcept;

/// One lane's, of one way: `allocations{via="http"}`, `allocations_refused{via="http",cause="denied"}`.
class AllocationMetrics {
 public:
  /// @param via  "http", "disco"
  AllocationMetrics(const LaneContext& context, std::string_view via);

  void count(const AllocationOutcome& outcome) noexcept;

 private:
  Counter given_;
  std::array<Counter, kAllocationRefusals> refused_;
};

}  // namespace gatehouse::geneve_relay
