// Whose a listener's number is, and which configured address is behind it: policy goes by the name.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse {

/// Numbers for listeners, never used twice. Thread-safe.
class ListenerNames {
 public:
  std::uint32_t add(std::string plugin, std::string name) {
    const std::scoped_lock lock(mutex_);
    listeners_.push_back({std::move(plugin), std::move(name)});
    return static_cast<std::uint32_t>(listeners_.size() - 1);
  }
  /// "" for a number that is not this plugin's.
  [[nodiscard]] std::string name_of(std::string_view plugin, std::uint32_t id) const {
    const std::scoped_lock lock(mutex_);
    return has(plugin, id) ? listeners_[id].name : "";
  }
  [[nodiscard]] bool owns(std::string_view plugin, std::uint32_t id) const {
    const std::scoped_lock lock(mutex_);
    return has(plugin, id);
  }

 private:
  struct Listener {
    std::string plugin, name;
  };
  [[nodiscard]] bool has(std::string_view plugin, std::uint32_t id) const {
    return id < listeners_.size() && listeners_[id].plugin == plugin;
  }

  mutable std::mutex mutex_;         // guards listeners_
  std::vector<Listener> listeners_;  // by number
};

}  // namespace gatehouse
