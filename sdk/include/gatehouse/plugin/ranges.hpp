// Which numbers of a space this gateway may hand out: where several gateways share one, each has its own ranges.
#pragma once

#include <gatehouse/plugin/host.hpp>

#include <cstdint>
#include <string_view>
#include <vector>

namespace gatehouse {

/// first .. last, both included.
struct NumberRange {
  std::uint64_t first = 0;  ///< the lowest
  std::uint64_t last = 0;   ///< the highest
  friend bool operator==(const NumberRange&, const NumberRange&) = default;
};

/// Thread-safe; copies are cheap and refer to the same host.
class Ranges {
 public:
  /// A host that knows of no ranges is as one that is alone.
  explicit Ranges(const Host& host) noexcept : table_(host.find<gh_ranges>(GH_RANGES_ID)) {}

  /// Moves when a range comes or goes; lanes are then woken with GH_WAKE_RANGES. One acquire load.
  [[nodiscard]] std::uint64_t generation() const noexcept {
    if (table_ == nullptr) return 0;
    return std::atomic_ref(const_cast<std::uint64_t&>(*table_->generation)).load(std::memory_order_acquire);
  }
  /// Those of "tunnel-index", "vni", ...: ascending. All numbers, where the host knows of no others. The host locks.
  /// @throws std::invalid_argument for a space without a name
  [[nodiscard]] std::vector<NumberRange> of(std::string_view space) const;

 private:
  const gh_ranges* table_;  // null: a host that is alone
};

}  // namespace gatehouse
