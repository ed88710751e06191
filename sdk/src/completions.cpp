#include <gatehouse/plugin/completions.hpp>

#include <gatehouse/plugin/host.hpp>

#include <boost/system/system_error.hpp>

#include <poll.h>

#include <algorithm>

namespace gatehouse {

void CompletionQueue::watch(Poller& poller) {
  if (const auto added = poller.add(event_.fd(), EPOLLIN, *this); !added)
    throw boost::system::system_error(added.error(), "watch for completions");
}

void CompletionQueue::unwatch(Poller& poller) noexcept { poller.remove(event_.fd(), *this); }

/// On whatever thread the host has. The call may be gone as soon as it is pushed; the queue is not.
void CompletionQueue::done(void* of, std::uint64_t, gh_status status) noexcept {
  Call& call = *static_cast<Call*>(of);
  CompletionQueue& queue = call.queue;
  call.status = status;
  Call* newest = queue.newest_done_.load(std::memory_order_relaxed);
  do {
    call.next_done = newest;
  } while (
      !queue.newest_done_.compare_exchange_weak(newest, &call, std::memory_order_release, std::memory_order_relaxed));
  queue.event_.signal();
}

/// Moves what was pushed, which is newest first, behind what waits.
void CompletionQueue::take_done() noexcept {
  Call* newest = newest_done_.exchange(nullptr, std::memory_order_acquire);
  Call* const last = newest;
  Call* oldest = nullptr;
  while (newest != nullptr) {
    Call* const older = std::exchange(newest->next_done, oldest);
    oldest = std::exchange(newest, older);
  }
  if (oldest == nullptr) return;
  (oldest_ == nullptr ? oldest_ : last_->next_done) = oldest;
  last_ = last;
}

std::size_t CompletionQueue::deliver() {
  event_.clear();
  take_done();
  struct Again {  // when a function throws
    CompletionQueue& queue;
    ~Again() {
      if (queue.oldest_ != nullptr) queue.event_.signal();
    }
  } const again{*this};
  std::size_t count = 0;
  while (oldest_ != nullptr) {
    Call& call = *oldest_;
    oldest_ = call.next_done;
    if (call.scope != nullptr) call.scope->leave(call);
    const Completion completion = std::move(call.completion);
    const gh_status status = call.status;
    calls_.erase(call.self);
    ++count;
    if (completion) completion(to_error(status));
  }
  return count;
}

bool CompletionQueue::wait(Nanoseconds most) {
  const SteadyTime deadline = steady_now() + most;
  for (;;) {
    if (deliver() != 0) return true;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - steady_now());
    if (left.count() <= 0) return false;
    pollfd ready{event_.fd(), POLLIN, 0};
    ::poll(&ready, 1, static_cast<int>(std::min<std::int64_t>(left.count(), 60'000)));
  }
}

CompletionScope::CompletionScope(CompletionScope&& other) noexcept
    : queue_(other.queue_), first_(std::exchange(other.first_, nullptr)) {
  for (auto* call = first_; call != nullptr; call = call->next) call->scope = this;
}

CompletionQueue::Call& CompletionScope::expect(Completion then) {
  const SlotHandle handle = queue_->calls_.emplace(*queue_, std::move(then));
  CompletionQueue::Call& call = *queue_->calls_.at(handle);
  call.self = handle;
  call.scope = this;
  call.next = first_;
  if (first_ != nullptr) first_->previous = &call;
  first_ = &call;
  return call;
}

void CompletionScope::leave(CompletionQueue::Call& call) noexcept {
  (call.previous == nullptr ? first_ : call.previous->next) = call.next;
  if (call.next != nullptr) call.next->previous = call.previous;
  call.scope = nullptr;
}

void CompletionScope::forget(CompletionQueue::Call& call) noexcept {
  leave(call);
  queue_->calls_.erase(call.self);
}

void CompletionScope::drop() noexcept {
  while (first_ != nullptr) {
    CompletionQueue::Call& call = *first_;
    leave(call);
    call.completion = nullptr;  // may own the scope's owner's things; the host still knows the call
  }
}

}  // namespace gatehouse
