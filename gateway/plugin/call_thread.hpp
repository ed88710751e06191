// A thread for calls of one plugin instance, so that one which does not return holds up nobody else.
#pragma once

#include "gateway/plugin/patience.hpp"
#include "gateway/plugin/thread_stack.hpp"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace gatehouse {

/// How long a plugin may be silent: lane_timeout_seconds. Shared by all, since a reload changes it.
using PluginTimeout = std::atomic<Nanoseconds>;

/// "gh-udpgw-c": the name of a plugin's thread, cut to the 15 characters that the kernel keeps.
[[nodiscard]] std::string thread_name(const std::string& plugin, const std::string& suffix);

/// Why something is not as the plugin was asked, as a sentence; nothing when all is well.
using Answer = std::optional<std::string>;

/// One call: on its way, or over. Thread-safe.
class PluginCall {
 public:
  /// Has it returned, or was it given up?
  [[nodiscard]] bool is_over() const noexcept { return over_.load(std::memory_order_acquire); }
  /// Once it is over.
  [[nodiscard]] const Answer& refusal() const noexcept { return refusal_; }

 private:
  friend class CallThread;
  void end(Answer refusal) noexcept {
    refusal_ = std::move(refusal);
    over_.store(true, std::memory_order_release);
  }

  std::string what_;  // the function's name
  std::function<Answer()> work_;
  Answer refusal_;
  std::atomic<bool> over_{false};
};

/// Control thread only, but for what `work` and `on_over` do, which run on its own.
class CallThread {
 public:
  /// `plugin` for sentences; `on_over` is called after each call and whenever one was given up: let it post a message
  /// and nothing else. @throws Refusal when the system gives no thread
  CallThread(const std::string& name, std::string plugin, std::shared_ptr<const PluginTimeout> timeout,
             std::function<void()> on_over);
  /// Waits for nothing but an idle thread's end: one that is in a call is detached, see is_idle().
  ~CallThread();
  CallThread(const CallThread&) = delete;
  CallThread& operator=(const CallThread&) = delete;

  /// Calls work() after everything that was asked for before. `what`: the function's name. Once a call hangs, all that
  /// comes after it is refused. One that ends its thread (pthread_exit) is over, refused; what waits has another
  /// thread.
  std::shared_ptr<const PluginCall> ask(std::string what, std::function<Answer()> work);
  /// Nothing runs, and nothing waits.
  [[nodiscard]] bool is_idle() const;
  /// Call it now and then: true when a call is found not to have returned for PluginTimeout. Then it and those that
  /// wait are over, refused with the sentence that hung() has from then on.
  [[nodiscard]] bool finds_hung(SteadyTime now);
  [[nodiscard]] const Answer& hung() const noexcept { return hung_; }
  /// A call threw an exception, or ended its thread: once for each, the sentence that it was refused with.
  [[nodiscard]] Answer take_stray();
  /// What waits is over, refused. @return does a call run?
  bool cancel_waiting();
  /// The function that runs, or "".
  [[nodiscard]] std::string running() const;
  [[nodiscard]] ThreadStack& stack() noexcept;

 private:
  struct State;

  std::shared_ptr<State> state_;  // shared with the thread
  const std::string plugin_;
  const std::shared_ptr<const PluginTimeout> timeout_;
  Answer hung_;
  Patience patience_;            // with
  std::uint64_t looked_at_ = 0;  // that call, by its number
};

}  // namespace gatehouse
