// How a word from the host's own threads ("it is on disk") comes to the lane that waits for it: a function that runs on
// the lane, or not at all once whoever waits has gone.
#pragma once

#include <gatehouse/abi.h>
#include <gatehouse/async/poller.hpp>
#include <gatehouse/async/wake_event.hpp>
#include <gatehouse/base/clock.hpp>
#include <gatehouse/base/error.hpp>
#include <gatehouse/table/slab.hpp>

#include <atomic>
#include <functional>
#include <utility>

namespace gatehouse {

/// What is to happen then: no error, or why it did not go well.
using Completion = std::function<void(Error)>;

class CompletionScope;

/// Where completions arrive for one thread, its owner's. Any thread may complete; everything else is the owner's.
///
/// It must outlive the last completion that the host may still call, so it belongs to the plugin's instance, not to the
/// lane: LanePlugin keeps one a lane and hands it out in LaneContext.
///
/// Memory order: a completion is pushed with release and the whole stack taken with acquire, so what the host did
/// before is seen by the function.
class CompletionQueue final : private Readiness {
 public:
  CompletionQueue() = default;
  CompletionQueue(const CompletionQueue&) = delete;
  CompletionQueue& operator=(const CompletionQueue&) = delete;

  /// From now on `poller`'s turns run what is done. To be ended by unwatch() while the poller lives.
  /// @throws boost::system::system_error when it cannot be watched
  void watch(Poller& poller);
  /// `poller` runs nothing of it any more; what is done waits for deliver(), or for another one.
  void unwatch(Poller& poller) noexcept;

  /// Runs what is done, in the order in which it was, and returns how many calls that were. What a function throws goes
  /// through; what is left is run by the next call.
  std::size_t deliver();
  /// For control code without a loop: waits until something is done and runs it. False: nothing was in that time.
  bool wait(Nanoseconds most);

 private:
  friend class CompletionScope;
  struct Call {
    Call(CompletionQueue& at, Completion then) noexcept : queue(at), completion(std::move(then)) {}
    CompletionQueue& queue;
    Completion completion;  // empty: nobody waits any more
    SlotHandle self;
    Call* next_done = nullptr;
    gh_status status = GH_OK;
    CompletionScope* scope = nullptr;
    Call *previous = nullptr, *next = nullptr;  // in the scope
  };

  static void done(void* call, std::uint64_t, gh_status status) noexcept;
  void on_ready(std::uint32_t) override { deliver(); }
  void take_done() noexcept;

  Slab<Call, 16> calls_;  // that the host has, or that are done; they never move
  std::atomic<Call*> newest_done_{nullptr};
  Call *oldest_ = nullptr, *last_ = nullptr;  // done and taken, in order
  WakeEvent event_;
};

/// What one object waits for. With it go the functions, unrun: so a function may use the object that owns the scope.
/// The owner thread's.
class CompletionScope {
 public:
  /// @param queue  outlives it
  explicit CompletionScope(CompletionQueue& queue) noexcept : queue_(&queue) {}
  CompletionScope(CompletionScope&& other) noexcept;
  CompletionScope& operator=(CompletionScope&&) = delete;
  ~CompletionScope() { drop(); }

  /// Makes the host call `ask(const gh_completion*) -> gh_status` and returns what that returned. `then` runs once, on
  /// the queue's thread and never within this call; not at all when the call fails, or `then` is empty.
  template <class Ask>
  [[nodiscard]] gh_status ask(Completion then, Ask&& ask) {
    if (!then) return ask(static_cast<const gh_completion*>(nullptr));
    CompletionQueue::Call& call = expect(std::move(then));
    const gh_completion completion{CompletionQueue::done, &call, 0};
    const gh_status status = ask(&completion);
    if (status < 0) forget(call);  // it will not be called
    return status;
  }

  /// The same for a call that completes only where it returns GH_PENDING.
  template <class Ask>
  [[nodiscard]] gh_status ask_later(Completion then, Ask&& ask) {
    if (!then) return ask(static_cast<const gh_completion*>(nullptr));
    CompletionQueue::Call& call = expect(std::move(then));
    const gh_completion completion{CompletionQueue::done, &call, 0};
    const gh_status status = ask(&completion);
    if (status != GH_PENDING) forget(call);
    return status;
  }

  /// Nobody waits any more.
  void drop() noexcept;
  [[nodiscard]] bool empty() const noexcept { return first_ == nullptr; }

 private:
  friend class CompletionQueue;
  CompletionQueue::Call& expect(Completion then);
  void forget(CompletionQueue::Call& call) noexcept;
  void leave(CompletionQueue::Call& call) noexcept;

  CompletionQueue* queue_;
  CompletionQueue::Call* first_ = nullptr;
};

}  // namespace gatehouse
