#include "gateway/daemon/given_up_listeners.hpp"

#include "gateway/base/refusal.hpp"

#include <algorithm>

namespace gatehouse {
namespace {

bool is_bindable(const ListenAddress& address) {
  try {
    require_bindable(address, "", "", false);
    return true;
  } catch (const Refusal&) {
    return false;
  }
}

}  // namespace

void GivenUpListeners::add(const Listeners& before, const Listeners& after, SteadyTime now) {
  std::erase_if(all_, [now](const auto& entry) { return entry.second.expired() || entry.first + kMostTime <= now; });
  for (const auto& listener : before)
    if (!after.contains(listener)) all_.emplace_back(now, listener);
}

bool GivenUpListeners::are_in_the_way_of(const ListenAddress& address, SteadyTime now) const {
  const bool may_be = std::any_of(all_.begin(), all_.end(), [&](const auto& entry) {
    const auto listener = entry.second.lock();
    if (listener == nullptr || entry.first + kMostTime <= now || !contend(listener->address(), address)) return false;
    return !(listener->is_retired() && listener->is_free_once_retired());
  });
  return may_be && !is_bindable(address);
}

}  // namespace gatehouse
