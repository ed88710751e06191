#include "gateway/policy/place_claims.hpp"

#include <algorithm>

namespace gatehouse {

void PlaceClaims::set(const void* instance, std::string_view plugin, const std::vector<Prefix>& prefixes) {
  std::vector<policy::ClaimedPrefix> claims;
  claims.reserve(prefixes.size());
  for (const Prefix& prefix : prefixes) claims.push_back({prefix, std::string(plugin)});
  const std::scoped_lock lock(mutex_);
  by_instance_[instance].swap(claims);
}

void PlaceClaims::drop(const void* instance) noexcept {
  const std::scoped_lock lock(mutex_);
  by_instance_.erase(instance);
}

std::vector<policy::ClaimedPrefix> PlaceClaims::all() const {
  std::vector<policy::ClaimedPrefix> out;
  {
    const std::scoped_lock lock(mutex_);
    for (const auto& [instance, claims] : by_instance_) out.insert(out.end(), claims.begin(), claims.end());
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

}  // namespace gatehouse
