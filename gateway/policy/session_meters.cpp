#include "gateway/policy/session_meters.hpp"

#include <algorithm>
#include <mutex>
#include <new>

namespace gatehouse {

SessionMeters::Place* SessionMeters::find(const policy::Meters* common) noexcept {
  if (first_.common == common) return &first_;
  if (!others_) return nullptr;
  const auto place = std::ranges::find(*others_, common, &Place::common);
  return place == others_->end() ? nullptr : &*place;
}

bool SessionMeters::enter(policy::Meters& common, std::uint64_t limit) {
  const std::scoped_lock lock(mutex_);
  Place* place = find(&common);
  if (place == nullptr) place = find(nullptr);  // a free one
  if (place == nullptr) {
    if (!others_) others_ = std::make_unique<Places>();
    place = &others_->emplace_back();
  }
  if (place->common == nullptr) {
    if (!common.sessions.try_open(limit)) return false;
    place->common = &common;
  }
  ++place->clients;
  return true;
}

void SessionMeters::leave(policy::Meters& common) noexcept {
  const std::scoped_lock lock(mutex_);
  Place* const place = find(&common);
  if (place == nullptr || --place->clients != 0) return;
  common.sessions.close();
  *place = {};
  if (others_ && std::ranges::all_of(*others_, [](const Place& one) { return one.common == nullptr; })) others_.reset();
}

policy::Meters* SessionMeters::reserve() noexcept {
  policy::Meters* present = meters();
  if (present != nullptr) return present;
  std::unique_ptr<policy::Meters> made(new (std::nothrow) policy::Meters);
  if (!made || !meters_.compare_exchange_strong(present, made.get(), std::memory_order_acq_rel)) return present;
  return made.release();
}

}  // namespace gatehouse
