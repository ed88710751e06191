// Names that very many records have, kept once.
#pragma once

#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace gatehouse {

/// Whose a record is: its plugin, and the group of its client. One of a few that many records have and that outlive
/// them, in a pointer's room; both "" by default.
class PluginGroup {
 public:
  using Names = std::pair<std::string, std::string>;

  PluginGroup() noexcept = default;
  explicit PluginGroup(const Names& names) noexcept : names_(&names) {}

  [[nodiscard]] std::string_view plugin() const noexcept {
    return names_ == nullptr ? "" : std::string_view(names_->first);
  }
  [[nodiscard]] std::string_view group() const noexcept {
    return names_ == nullptr ? "" : std::string_view(names_->second);
  }

 private:
  const Names* names_ = nullptr;
};

/// All that there are. Thread-safe; none is ever removed.
class PluginGroups {
 public:
  /// That one, where it stays as long as *this. Locks, and may allocate.
  [[nodiscard]] PluginGroup at(std::string_view plugin, std::string_view group = {}) {
    const std::scoped_lock lock(mutex_);
    const auto known = names_.find(std::pair(plugin, group));
    return PluginGroup(known != names_.end() ? *known : *names_.emplace(plugin, group).first);
  }

 private:
  struct Less {
    using is_transparent = void;
    using Views = std::pair<std::string_view, std::string_view>;
    bool operator()(const Views& a, const Views& b) const noexcept { return a < b; }
  };
  std::mutex mutex_;  // guards names_
  std::set<PluginGroup::Names, Less> names_;
};

}  // namespace gatehouse
