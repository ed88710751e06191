#include <gatehouse/async/poller.hpp>

#include <boost/system/system_error.hpp>

#include <utility>

namespace gatehouse {
namespace {

epoll_event event_for(std::uint32_t events, Readiness& target) noexcept {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &target;
  return event;
}

}  // namespace

Poller::Poller() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  if (!epoll_) throw boost::system::system_error(last_system_error(), "epoll_create1");
}

Result<void> Poller::add(int fd, std::uint32_t events, Readiness& target) noexcept {
  epoll_event event = event_for(events, target);
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return last_system_error();
  return boost::system::in_place_value;
}

void Poller::modify(int fd, std::uint32_t events, Readiness& target) noexcept {
  epoll_event event = event_for(events, target);
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
}

void Poller::remove(int fd, Readiness& target) noexcept {
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  forget(target);
}

void Poller::forget(Readiness& target) noexcept {
  for (std::size_t i = at_; i < count_; ++i)
    if (events_[i].data.ptr == &target) events_[i].data.ptr = nullptr;
}

void Poller::remove(int fd, HeldReadiness& target) noexcept {
  remove(fd, static_cast<Readiness&>(target));
  if (!std::exchange(target.is_told_again_, false)) return;
  for (auto* const list : {&again_, &delivering_})
    for (Again& one : *list)
      if (one.target == &target) one.target = nullptr;
}

void Poller::deliver_again(HeldReadiness& target, std::uint32_t events) {
  if (target.is_told_again_) return;
  again_.push_back({&target, events});
  target.is_told_again_ = true;
}

std::size_t Poller::turn() {
  delivering_.swap(again_);  // what these ask for again has its turn after all others
  const int ready = epoll_wait(epoll_.get(), events_.data(), static_cast<int>(events_.size()), 0);
  count_ = ready > 0 ? static_cast<std::size_t>(ready) : 0;
  for (at_ = 0; at_ < count_;) {
    const epoll_event& event = events_[at_++];
    if (event.data.ptr != nullptr) static_cast<Readiness*>(event.data.ptr)->on_ready(event.events);
  }
  const std::size_t delivered = count_ + delivering_.size();
  count_ = at_ = 0;
  for (std::size_t i = 0; i < delivering_.size(); ++i)
    if (const Again one = delivering_[i]; one.target != nullptr) {
      one.target->is_told_again_ = false;
      one.target->on_ready(one.events);
    }
  delivering_.clear();
  return delivered;
}

}  // namespace gatehouse
