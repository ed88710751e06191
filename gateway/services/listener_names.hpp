// Which configured address is behind the number of a listener: policy goes by the name.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

namespace gatehouse {

/// Numbers for listeners, never used twice. Thread-safe.
class ListenerNames {
 public:
  std::uint32_t add(std::string name) {
    const std::scoped_lock lock(mutex_);
    names_.push_back(std::move(name));
    return static_cast<std::uint32_t>(names_.size() - 1);
  }
  /// "" for a number that was never given out.
  [[nodiscard]] std::string name_of(std::uint32_t id) const {
    const std::scoped_lock lock(mutex_);
    return id < names_.size() ? names_[id] : "";
  }

 private:
  mutable std::mutex mutex_;        // guards names_
  std::vector<std::string> names_;  // by number
};

}  // namespace gatehouse
