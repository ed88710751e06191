// Which addresses the plugins claim as their own (gh_policy.claim): the publisher puts them in force.
#pragma once

#include "policy/surroundings.hpp"

#include <map>
#include <mutex>
#include <string>
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
  /// `instance` was abandoned: what it claims stays until another one of its plugin claims, or forget().
  void orphan(const void* instance) noexcept;
  /// The plugin is not configured any more.
  void forget(std::string_view plugin) noexcept;
  /// Sorted, each once.
  [[nodiscard]] std::vector<policy::ClaimedPrefix> all() const;

 private:
  struct Claims {
    std::string plugin;
    std::vector<policy::ClaimedPrefix> prefixes;
    bool is_orphan = false;
  };
  mutable std::mutex mutex_;  // guards what follows
  std::map<const void*, Claims> by_instance_;
};

}  // namespace gatehouse
