// One lane's share of what a plugin's clients may use together: memory, descriptors, ports.
#pragma once

#include <gatehouse/plugin/lane_context.hpp>

#include <algorithm>

namespace gatehouse {

/// What clients use together, and may be short of.
enum class Resource : std::uint32_t {
  memory = GH_RESOURCE_MEMORY,            ///< bytes that wait for them
  descriptors = GH_RESOURCE_DESCRIPTORS,  ///< sockets that they have open
  ports = GH_RESOURCE_PORTS               ///< local ports of their flows
};

/// Even shares, so that lanes need no lock and none can take what another one's clients need. All of them may change
/// while lanes run, `memory_bytes` by a reload. As long-lived as the host; each call is one relaxed load.
class Budget {
 public:
  /// The share of that lane.
  explicit Budget(const LaneContext& context) noexcept
      : table_(&context.host.budget()), lanes_(std::max(context.lane->count, 1u)) {}

  /// Bytes that may wait for this lane's clients: `memory_bytes`.
  [[nodiscard]] std::size_t memory() const noexcept { return share_of(*table_->memory_bytes); }
  /// What this lane's clients may have open. The rest is for the process, so that it can do its work to the end.
  [[nodiscard]] std::size_t descriptors() const noexcept { return share_of(*table_->descriptors); }
  /// A client was refused or cut, or lost what waited for it: `gatehouse status` is `degraded` for some seconds.
  void ran_short(Resource of) const noexcept { table_->ran_short(table_->context, static_cast<std::uint32_t>(of)); }

 private:
  [[nodiscard]] std::size_t share_of(const std::uint64_t& all) const noexcept {
    return std::atomic_ref(const_cast<std::uint64_t&>(all)).load(std::memory_order_relaxed) / lanes_;
  }

  const gh_budget* table_;
  std::uint32_t lanes_;
};

}  // namespace gatehouse
