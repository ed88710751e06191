#include "gateway/plugin/call_thread.hpp"

#include "gateway/base/refusal.hpp"
#include "gateway/base/start_thread.hpp"

#include <cstdint>
#include <exception>
#include <system_error>
#include <utility>

namespace gatehouse {

std::string thread_name(const std::string& plugin, const std::string& suffix) {
  constexpr std::size_t kKept = 15;
  return ("gh-" + plugin).substr(0, kKept - suffix.size()) + suffix;
}

/// Freed by whoever lets go of it last, which is an abandoned thread if its call ever returns.
struct CallThread::State {
  static Answer run(const PluginCall& call) noexcept {
    try {
      return call.work_();
    } catch (const std::exception& error) {
      return error.what();
    }
  }

  void serve() noexcept {
    const ThreadStack::Attached attached(stack);
    std::unique_lock lock(mutex);
    for (;;) {
      changed.wait(lock, [this] { return !waiting.empty() || closed; });
      if (waiting.empty()) return;
      current = std::move(waiting.front());
      waiting.pop_front();
      ++number;
      lock.unlock();
      Answer refusal = run(*current);
      current->work_ = nullptr;  // what it holds is its asker's again before it is over
      lock.lock();
      if (!current->is_over()) current->end(std::move(refusal));
      current.reset();
      if (on_over) on_over();
    }
  }

  ThreadStack stack;
  std::mutex mutex;  // guards what follows
  std::condition_variable changed;
  std::deque<std::shared_ptr<PluginCall>> waiting;
  std::shared_ptr<PluginCall> current;  // that runs, also once it was given up
  std::uint64_t number = 0;             // of the call that runs, or ran last
  bool closed = false;
  std::function<void()> on_over;
};

CallThread::CallThread(const std::string& name, std::string plugin, std::shared_ptr<const PluginTimeout> timeout,
                       std::function<void()> on_over)
    : state_(std::make_shared<State>()), plugin_(std::move(plugin)), timeout_(std::move(timeout)) {
  state_->on_over = std::move(on_over);
  try {
    thread_ = start_thread(name.c_str(), [state = state_] { state->serve(); });
  } catch (const std::system_error& error) {
    throw Refusal("cannot start the thread " + name + ": " + error.code().message());
  }
}

CallThread::~CallThread() {
  bool stuck = false;
  {
    const std::scoped_lock lock(state_->mutex);
    state_->on_over = nullptr;
    state_->closed = true;
    stuck = state_->current != nullptr;
    if (stuck && !state_->current->is_over()) state_->current->end("the plugin " + plugin_ + " has ended");
    for (const auto& call : state_->waiting) call->end("the plugin " + plugin_ + " has ended");
    state_->waiting.clear();
  }
  state_->changed.notify_all();
  if (stuck) {
    thread_.detach();
  } else {
    thread_.join();
  }
}

std::shared_ptr<const PluginCall> CallThread::ask(std::string what, std::function<Answer()> work) {
  auto call = std::make_shared<PluginCall>();
  call->what_ = std::move(what);
  const std::scoped_lock lock(state_->mutex);
  if (hung_ && state_->current != nullptr) {
    call->end(hung_);
    return call;
  }
  call->work_ = std::move(work);
  state_->waiting.push_back(call);
  state_->changed.notify_all();
  return call;
}

bool CallThread::is_idle() const {
  const std::scoped_lock lock(state_->mutex);
  return state_->current == nullptr && state_->waiting.empty();
}

bool CallThread::cancel_waiting() {
  const std::scoped_lock lock(state_->mutex);
  for (const auto& call : state_->waiting) call->end("the plugin " + plugin_ + " has ended");
  state_->waiting.clear();
  return state_->current != nullptr;
}

std::string CallThread::running() const {
  const std::scoped_lock lock(state_->mutex);
  return state_->current ? state_->current->what_ : "";
}

bool CallThread::finds_hung(SteadyTime now) {
  const std::scoped_lock lock(state_->mutex);
  if (hung_ || state_->current == nullptr) return false;
  if (std::exchange(looked_at_, state_->number) != state_->number) patience_.reset();
  const Nanoseconds timeout = timeout_->load(std::memory_order_relaxed);
  if (patience_.look(now) < timeout) return false;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(timeout).count();
  hung_ = "the plugin " + plugin_ + " hangs: `" + state_->current->what_ + "` has not returned for " +
          std::to_string(seconds) + " s";
  state_->current->end(hung_);
  for (const auto& call : state_->waiting) call->end(hung_);
  state_->waiting.clear();
  if (state_->on_over) state_->on_over();
  return true;
}

ThreadStack& CallThread::stack() noexcept { return state_->stack; }

}  // namespace gatehouse
