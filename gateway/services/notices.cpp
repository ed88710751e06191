#include "gateway/services/notices.hpp"

#include "gateway/base/guarded.hpp"

#include <gatehouse/plugin/border.hpp>

namespace gatehouse {

PluginNotices::PluginNotices() noexcept
    : table_{sizeof table_, 0, this, [](void* self, gh_bytes name, std::uint32_t kind, gh_bytes sentence) noexcept {
               return guarded([&] { return static_cast<PluginNotices*>(self)->set(name, kind, sentence); });
             }} {}

gh_status PluginNotices::set(gh_bytes name, std::uint32_t kind, gh_bytes sentence) {
  const std::string_view about = from_border(name), text = from_border(sentence);
  if (about.empty() || about.size() > kLongestName || text.size() > kLongestSentence) return GH_E_INVALID;
  const std::scoped_lock lock(mutex_);
  const auto known = notices_.find(about);
  if (text.empty()) {
    if (known != notices_.end()) notices_.erase(known);
    return GH_OK;
  }
  if (known == notices_.end() && notices_.size() >= kMost) return GH_E_LIMIT;
  notices_[std::string(about)] = {kind == GH_NOTICE_DEGRADED, std::string(text)};
  return GH_OK;
}

std::vector<PluginNotices::Notice> PluginNotices::all() const {
  const std::scoped_lock lock(mutex_);
  std::vector<Notice> out;
  for (const auto& [name, notice] : notices_) out.push_back(notice);
  return out;
}

}  // namespace gatehouse
