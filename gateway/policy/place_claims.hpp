// Which addresses the plugins claim as their own (gh_policy.claim): the publisher puts them in force.
#pragma once

#include "policy/surroundings.hpp"

#include <map>
#include <mutex>
#include <string_view>
#include <vector>

namespace gatehouse {

/// Thread-safe.
class PlaceClaims {
 public:
  static constexpr std::size_t kMost = 256;  ///< of one instance

  /// Replaces what `instance`, one of `plugin`, claimed before. Two instances of a plugin may claim the same.
  void set(const void* instance, std::string_view plugin, const std::vector<Prefix>& prefixes);
  void drop(const void* instance) noexcept;
  /// Sorted, each once.
  [[nodiscard]] std::vector<policy::ClaimedPrefix> all() const;

 private:
  mutable std::mutex mutex_;
  std::map<const void*, std::vector<policy::ClaimedPrefix>> by_instance_;
};

}  // namespace gatehouse
