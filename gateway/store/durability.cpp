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
  waiting_.emplace(++last_ticket_, Waiting{who, *durable, false, std::nullopt});
  return last_ticket_;
}

void Durability::arm(Ticket ticket) noexcept {
  if (ticket == 0) return;
  const bool failing = is_failing();
  std::unique_lock lock(mutex_);
  const auto found = waiting_.find(ticket);
  if (found == waiting_.end()) return;
  if (!found->second.result && !failing) {
    found->second.armed = true;
    return;
  }
  const Waiting waiting = std::move(found->second);
  waiting_.erase(found);
  lock.unlock();
  if (!waiting.result && on_failure() == OnStoreFailure::serve) served_.fetch_add(1, std::memory_order_relaxed);
  waiting.who->complete(waiting.completion, waiting.result.value_or(status_while_failing()));
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
  if (on_failure() == OnStoreFailure::serve) served_.fetch_add(released.size(), std::memory_order_relaxed);
  for (const Waiting& waiting : released) waiting.who->complete(waiting.completion, status_while_failing());
}

}  // namespace gatehouse
