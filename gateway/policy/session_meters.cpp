#include "gateway/policy/session_meters.hpp"

#include <algorithm>

namespace gatehouse {

bool SessionMeters::enter(policy::Meters& common, std::uint64_t limit) {
  const std::scoped_lock lock(mutex_);
  const auto place = std::find_if(places_.begin(), places_.end(), [&](const Place& p) { return p.common == &common; });
  if (place != places_.end()) {
    ++place->clients;
    return true;
  }
  places_.reserve(places_.size() + 1);
  if (!common.sessions.try_open(limit)) return false;
  places_.push_back({&common, 1});
  return true;
}

void SessionMeters::leave(policy::Meters& common) noexcept {
  const std::scoped_lock lock(mutex_);
  const auto place = std::find_if(places_.begin(), places_.end(), [&](const Place& p) { return p.common == &common; });
  if (place == places_.end() || --place->clients != 0) return;
  common.sessions.close();
  places_.erase(place);
}

}  // namespace gatehouse
