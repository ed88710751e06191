#include "gateway/store/durability.hpp"

#include <utility>

namespace gatehouse {

void Requester::close() noexcept {
  const std::scoped_lock lock(mutex_);
  open_ = false;
}

void Requester::complete(const gh_completion& completion, gh_status status) noexcept {
  const std::scoped_lock lock(mutex_);
  if (open_) completion.done(completion.context, completion.token, status);
}

bool Durability::refuses_new() noexcept {
  if (!is_failing() || on_failure() == OnStoreFailure::serve) return false;
  refused_.fetch_add(1, std::memory_order_relaxed);
  return true;
}

Durability::Ticket Durability::await(const std::shared_ptr<Requester>& who, const gh_completion* durable) {
  if (durable == nullptr || durable->done == nullptr) return 0;
  const std::scoped_lock lock(mutex_);
  waiting_.emplace(++last_ticket_, Waiting{who, *durable, false, true, std::nullopt, false});
  return last_ticket_;
}

void Durability::arm(Ticket ticket, bool is_new) noexcept {
  if (ticket == 0) return;
  std::unique_lock lock(mutex_);
  const auto found = waiting_.find(ticket);
  if (found == waiting_.end()) return;
  found->second.is_new = is_new;
  if (!found->second.result && !found->second.given_up &&
      !is_failing()) {  // under the lock: release_all() comes after it, or it sees the failure
    found->second.armed = true;
    return;
  }
  const Waiting waiting = std::move(found->second);
  waiting_.erase(found);
  lock.unlock();
  if (!waiting.result) return release(waiting);
  waiting.who->complete(waiting.completion, *waiting.result);
}

void Durability::cancel(Ticket ticket) noexcept {
  if (ticket == 0) return;
  const std::scoped_lock lock(mutex_);
  waiting_.erase(ticket);
}

void Durability::complete(const std::vector<Ticket>& tickets, gh_status status) noexcept {
  for (const Ticket ticket : tickets) {
    std::unique_lock lock(mutex_);
    const auto found = waiting_.find(ticket);
    if (found == waiting_.end()) continue;
    if (!found->second.armed) {
      found->second.result = status;
      continue;
    }
    const Waiting waiting = std::move(found->second);
    waiting_.erase(found);
    lock.unlock();
    waiting.who->complete(waiting.completion, status);
  }
}

void Durability::give_up(const std::vector<Ticket>& tickets) noexcept {
  for (const Ticket ticket : tickets) {
    std::unique_lock lock(mutex_);
    const auto found = waiting_.find(ticket);
    if (found == waiting_.end()) continue;
    if (!found->second.armed) {  // whether it is new, is not known yet
      found->second.given_up = true;
      continue;
    }
    const Waiting waiting = std::move(found->second);
    waiting_.erase(found);
    lock.unlock();
    release(waiting);
  }
}

void Durability::set_failing(bool failing) noexcept {
  failing_.store(failing, std::memory_order_release);
  if (failing) release_all();
}

/// Nobody is left to wait for a disk that fails.
void Durability::release_all() {
  std::vector<Waiting> released;
  {
    const std::scoped_lock lock(mutex_);
    for (auto at = waiting_.begin(); at != waiting_.end();) {
      if (at->second.armed) {
        released.push_back(std::move(at->second));
        at = waiting_.erase(at);
      } else {
        ++at;
      }
    }
  }
  for (const Waiting& waiting : released) release(waiting);
}

/// The result follows from on_failure(), not from what is on disk.
void Durability::release(const Waiting& waiting) noexcept {
  const bool served = !waiting.is_new || on_failure() == OnStoreFailure::serve;
  if (served) served_.fetch_add(1, std::memory_order_relaxed);
  waiting.who->complete(waiting.completion, served ? GH_OK : GH_E_IO);
}

}  // namespace gatehouse
