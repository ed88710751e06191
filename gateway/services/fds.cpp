#include "gateway/services/fds.hpp"

#include "gateway/base/guarded.hpp"

#include <gatehouse/plugin/border.hpp>

#include <fcntl.h>

namespace gatehouse {

void FdTable::hold(std::string_view plugin) {
  const std::scoped_lock lock(mutex_);
  held_.emplace(plugin);
}

void FdTable::release(std::string_view plugin) noexcept {
  const std::scoped_lock lock(mutex_);
  if (const auto found = held_.find(plugin); found != held_.end()) held_.erase(found);
}

void FdTable::drop(std::string_view plugin) noexcept {
  const std::scoped_lock lock(mutex_);
  if (held_.contains(plugin)) return;
  std::erase_if(kept_, [plugin](const auto& one) { return one.first.plugin == plugin; });
}

/// For so many under that name, in place of what it holds.
bool FdTable::has_room(const Key& key, std::size_t count) const noexcept {
  std::size_t names = 1;
  for (const auto& [other, kept] : kept_) {
    if (other.plugin != key.plugin || other.name == key.name) continue;
    ++names;
    count += kept.fds.size();
  }
  return names <= kMostNames && count <= kMostFds;
}

PluginFds::PluginFds(std::shared_ptr<FdTable> all, std::string plugin)
    : all_(std::move(all)), plugin_(std::move(plugin)) {
  {
    const std::scoped_lock lock(all_->mutex_);
    number_ = ++all_->faces_;
  }
  table_ = {sizeof(gh_fds), 0, this,
            [](void* context, gh_bytes name, const std::int32_t* fds, std::size_t count) noexcept {
              return guarded([&] { return static_cast<PluginFds*>(context)->keep(name, fds, count); });
            },
            [](void* context, gh_bytes name, std::int32_t* out, std::size_t capacity, std::size_t* count) noexcept {
              return guarded([&] { return static_cast<PluginFds*>(context)->take(name, out, capacity, count); });
            }};
}

gh_status PluginFds::keep(gh_bytes name, const std::int32_t* fds, std::size_t count) {
  if (count > FdTable::kMostFds) return GH_E_LIMIT;
  std::vector<UniqueFd> dups;
  for (std::size_t i = 0; i < count; ++i) {
    UniqueFd dup(fcntl(fds[i], F_DUPFD_CLOEXEC, 0));
    if (!dup) return GH_E_IO;
    dups.push_back(std::move(dup));
  }
  FdTable::Key key{plugin_, std::string(from_border(name))};
  const std::scoped_lock lock(all_->mutex_);
  if (!all_->has_room(key, count)) return GH_E_LIMIT;
  all_->kept_[std::move(key)] = {std::move(dups), number_};
  return GH_OK;
}

gh_status PluginFds::take(gh_bytes name, std::int32_t* out, std::size_t capacity, std::size_t* count) {
  const std::scoped_lock lock(all_->mutex_);
  const auto found = all_->kept_.find({plugin_, std::string(from_border(name))});
  if (found == all_->kept_.end()) return GH_E_NOT_FOUND;
  std::vector<UniqueFd>& fds = found->second.fds;
  *count = fds.size();
  if (*count > capacity) return GH_E_LIMIT;
  for (std::size_t i = 0; i < *count; ++i) out[i] = fds[i].release();
  all_->kept_.erase(found);
  return GH_OK;
}

void PluginFds::close_untaken() noexcept {
  const std::scoped_lock lock(all_->mutex_);
  std::erase_if(all_->kept_,
                [this](const auto& one) { return one.first.plugin == plugin_ && one.second.keeper != number_; });
  all_->held_.erase(plugin_);
}

}  // namespace gatehouse
