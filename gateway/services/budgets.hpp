// gh.budget/1: what one plugin's clients may use of what the whole process has, and whether it ran short.
#pragma once

#include <gatehouse/abi.h>
#include <gatehouse/base/clock.hpp>

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

namespace gatehouse {

/// One plugin's, shared by all of its instances. Thread-safe, without a lock.
class PluginBudget {
 public:
  static constexpr std::array<const char*, 3> kResources = {"memory", "descriptors", "ports"};  ///< by GH_RESOURCE_*
  static constexpr Nanoseconds kShortageHolds = std::chrono::seconds(10);

  PluginBudget() noexcept;
  PluginBudget(const PluginBudget&) = delete;
  PluginBudget& operator=(const PluginBudget&) = delete;
  [[nodiscard]] const gh_budget* table() const noexcept { return &table_; }

  void set_memory(std::uint64_t bytes) noexcept { memory_.store(bytes, std::memory_order_relaxed); }
  void set_descriptors(std::uint64_t count) noexcept { descriptors_.store(count, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t descriptors() const noexcept { return descriptors_.load(std::memory_order_relaxed); }

  /// How often the plugin ran short, by GH_RESOURCE_*.
  [[nodiscard]] std::uint64_t shortages(std::size_t resource) const noexcept {
    return shorts_[resource].count.load(std::memory_order_relaxed);
  }
  /// A sentence for each resource that ran short within kShortageHolds, with what to do.
  [[nodiscard]] std::vector<std::string> reasons(SteadyTime now) const;

 private:
  struct Short {
    std::atomic<std::uint64_t> count{0};
    std::atomic<std::uint64_t> last{0};  // steady ns
  };
  void ran_short(std::uint32_t resource) noexcept;

  std::atomic<std::uint64_t> memory_{0}, descriptors_{0};
  std::array<Short, kResources.size()> shorts_;
  gh_budget table_;
};

}  // namespace gatehouse
