#include "gateway/policy/place_claims.hpp"

#include <algorithm>

namespace gatehouse {

void PlaceClaims::set(const void* instance, std::string_view plugin, const std::vector<Prefix>& prefixes) {
  std::vector<policy::ClaimedPrefix> claims;
  claims.reserve(prefixes.size());
  for (const Prefix& prefix : prefixes) claims.push_back({prefix, std::string(plugin)});
  std::string name(plugin);
  const std::scoped_lock lock(mutex_);
  Claims& mine = by_instance_[instance];
  mine.plugin.swap(name);
  mine.prefixes.swap(claims);
  std::erase_if(by_instance_, [&](const auto& one) {
    return one.second.is_orphan && one.second.plugin == plugin && one.first != instance;
  });
}

void PlaceClaims::orphan(const void* instance) noexcept {
  const std::scoped_lock lock(mutex_);
  const auto found = by_instance_.find(instance);
  if (found != by_instance_.end()) found->second.is_orphan = true;
}

void PlaceClaims::forget(std::string_view plugin) noexcept {
  const std::scoped_lock lock(mutex_);
  std::erase_if(by_instance_, [&](const auto& one) { return one.second.is_orphan && one.second.plugin == plugin; });
}

void PlaceClaims::drop(const void* instance) noexcept {
  const std::scoped_lock lock(mutex_);
  by_instance_.erase(instance);
}

std::vector<policy::ClaimedPrefix> PlaceClaims::all() const {
  std::vector<policy::ClaimedPrefix> out;
  {
    const std::scoped_lock lock(mutex_);
    for (const auto& [instance, claims] : by_instance_)
      out.insert(out.end(), claims.prefixes.begin(), claims.prefixes.end());
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

}  // namespace gatehouse
