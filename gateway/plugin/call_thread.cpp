#include "gateway/plugin/call_thread.hpp"

#include "gateway/base/refusal.hpp"
#include "gateway/base/start_thread.hpp"

#include <cxxabi.h>

#include <cstdint>
#include <exception>
#include <system_error>
#include <thread>
#include <utility>

namespace gatehouse {

std::string thread_name(const std::string& plugin, const std::string& suffix) {
  constexpr std::size_t kKept = 15;
  return ("gh-" + plugin).substr(0, kKept - suffix.size()) + suffix;
}

/// Freed by whoever lets go of it last, which is an abandoned thread if its call ever returns.
struct CallThread::State : std::enable_shared_from_this<State> {
  State(std::string of_thread, std::string of_plugin) : name(std::move(of_thread)), plugin(std::move(of_plugin)) {}

  /// A call's end, also when the plugin ends the thread in it.
  struct Ending {
    State& state;
    Answer refusal = {};
    bool strayed = false;  // out of what a plugin may do
    bool returned = false;

    ~Ending() {
      state.current->work_ = nullptr;  // what it holds is its asker's again before it is over
      const std::scoped_lock lock(state.mutex);
      if (!returned) state.leave(*this);
      if (strayed) state.stray = refusal;
      if (!state.current->is_over()) state.current->end(std::move(refusal));
      state.current.reset();
      if (state.on_over) state.on_over();
    }
  };

  /// What must not pass the border is caught here, but for the end of the thread.
  void run(const PluginCall& call, Ending& ending) {
    try {
      ending.refusal = call.work_();
    } catch (const abi::__forced_unwind&) {
      throw;
    } catch (const std::exception& error) {
      ending.refusal = sentence(call, std::string("threw an exception across the border: ") + error.what());
      ending.strayed = true;
    } catch (...) {
      ending.refusal = sentence(call, "threw something across the border");
      ending.strayed = true;
    }
    ending.returned = true;
  }

  /// With the mutex held, on the thread that the plugin ends: another one goes on with what waits.
  void leave(Ending& ending) {
    ending.refusal = sentence(*current, "ended the thread that it was called on");
    ending.strayed = true;
    if (closed) return;
    const auto before = std::make_shared<std::thread>(std::move(thread));
    try {
      thread = start_thread(name.c_str(), [state = shared_from_this(), before] {
        before->join();  // what it has for a thread's end may hang, too
        {
          const std::scoped_lock lock(state->mutex);
          state->is_leaving = false;
        }
        state->serve();
      });
      is_leaving = true;
    } catch (const std::system_error& error) {
      before->detach();
      refuse_all("no thread can be started for calls of the plugin " + plugin + ": " + error.code().message());
    }
  }

  /// With the mutex held: is the plugin's code at work? What it does, or "".
  [[nodiscard]] bool is_busy() const noexcept { return current != nullptr || is_leaving; }
  [[nodiscard]] std::string work() const { return current ? current->what_ : is_leaving ? "the end of a thread" : ""; }

  /// With the mutex held.
  void refuse_all(const std::string& why) {
    for (const auto& call : waiting) call->end(why);
    waiting.clear();
    no_thread = why;
  }

  void serve() {
    const ThreadStack::Attached attached(stack);
    for (;;) {
      {
        std::unique_lock lock(mutex);
        changed.wait(lock, [this] { return !waiting.empty() || closed; });
        if (waiting.empty()) return;
        current = std::move(waiting.front());
        waiting.pop_front();
        ++number;
      }
      Ending ending{*this};
      run(*current, ending);
    }
  }

  [[nodiscard]] std::string sentence(const PluginCall& call, const std::string& did) const {
    return "`" + call.what_ + "` of the plugin " + plugin + ' ' + did;
  }

  const std::string name, plugin;
  ThreadStack stack;
  std::mutex mutex;  // guards what follows
  std::condition_variable changed;
  std::deque<std::shared_ptr<PluginCall>> waiting;
  std::shared_ptr<PluginCall> current;  // that runs, also once it was given up
  std::uint64_t number = 0;             // of the call that runs, or ran last
  bool closed = false;
  bool is_leaving = false;  // a thread that the plugin has ended
  std::thread thread;
  Answer no_thread;  // why not
  Answer stray;
  std::function<void()> on_over;
};

CallThread::CallThread(const std::string& name, std::string plugin, std::shared_ptr<const PluginTimeout> timeout,
                       std::function<void()> on_over)
    : state_(std::make_shared<State>(name, plugin)), plugin_(std::move(plugin)), timeout_(std::move(timeout)) {
  state_->on_over = std::move(on_over);
  try {
    const std::scoped_lock lock(state_->mutex);
    state_->thread = start_thread(name.c_str(), [state = state_] { state->serve(); });
  } catch (const std::system_error& error) {
    throw Refusal("cannot start the thread " + name + ": " + error.code().message());
  }
}

CallThread::~CallThread() {
  bool stuck = false;
  std::thread last;
  {
    const std::scoped_lock lock(state_->mutex);
    state_->on_over = nullptr;
    state_->closed = true;
    stuck = state_->is_busy();
    if (state_->current && !state_->current->is_over()) state_->current->end("the plugin " + plugin_ + " has ended");
    for (const auto& call : state_->waiting) call->end("the plugin " + plugin_ + " has ended");
    state_->waiting.clear();
    last = std::move(state_->thread);
  }
  state_->changed.notify_all();
  if (stuck) {
    last.detach();
  } else if (last.joinable()) {
    last.join();
  }
}

std::shared_ptr<const PluginCall> CallThread::ask(std::string what, std::function<Answer()> work) {
  auto call = std::make_shared<PluginCall>();
  call->what_ = std::move(what);
  const std::scoped_lock lock(state_->mutex);
  if (state_->no_thread) {
    call->end(state_->no_thread);
    return call;
  }
  if (hung_ && state_->is_busy()) {
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
  return !state_->is_busy() && state_->waiting.empty();
}

bool CallThread::cancel_waiting() {
  const std::scoped_lock lock(state_->mutex);
  for (const auto& call : state_->waiting) call->end("the plugin " + plugin_ + " has ended");
  state_->waiting.clear();
  return state_->is_busy();
}

std::string CallThread::running() const {
  const std::scoped_lock lock(state_->mutex);
  return state_->work();
}

bool CallThread::finds_hung(SteadyTime now) {
  const std::scoped_lock lock(state_->mutex);
  if (hung_ || !state_->is_busy()) return false;
  if (std::exchange(looked_at_, state_->number) != state_->number) patience_.reset();
  const Nanoseconds timeout = timeout_->load(std::memory_order_relaxed);
  if (patience_.look(now) < timeout) return false;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(timeout).count();
  hung_ = "the plugin " + plugin_ + " hangs: `" + state_->work() + "` has not returned for " + std::to_string(seconds) +
          " s";
  if (state_->current) state_->current->end(hung_);
  for (const auto& call : state_->waiting) call->end(hung_);
  state_->waiting.clear();
  if (state_->on_over) state_->on_over();
  return true;
}

Answer CallThread::take_stray() {
  const std::scoped_lock lock(state_->mutex);
  return std::exchange(state_->stray, {});
}

ThreadStack& CallThread::stack() noexcept { return state_->stack; }

}  // namespace gatehouse
