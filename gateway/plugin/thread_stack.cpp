#include "gateway/plugin/thread_stack.hpp"

#include <execinfo.h>
#include <signal.h>
#include <ucontext.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <thread>

namespace gatehouse {
namespace {

constinit thread_local ThreadStack* own_stack = nullptr;

int stack_signal() noexcept { return SIGRTMIN + 5; }

void block_signal(int how) noexcept {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, stack_signal());
  pthread_sigmask(how, &set, nullptr);
}

/// Where the thread was when the signal came.
const void* program_counter(const void* context) noexcept {
  const auto& machine = static_cast<const ucontext_t*>(context)->uc_mcontext;
#if defined(__x86_64__)
  return reinterpret_cast<const void*>(machine.gregs[REG_RIP]);
#elif defined(__aarch64__)
  return reinterpret_cast<const void*>(machine.pc);
#else
  static_cast<void>(machine);
  return nullptr;
#endif
}

/// "/run/gatehouse/plugins/ab12/udpgw.so(+0x1a2b) [0x7f...]" without folders and the address.
std::string shorten(std::string_view frame) {
  frame = frame.substr(0, frame.find(" ["));
  const std::size_t paren = frame.find('(');
  const std::size_t slash = frame.substr(0, paren).rfind('/');
  return std::string(slash == std::string_view::npos ? frame : frame.substr(slash + 1));
}

}  // namespace

ThreadStack::ThreadStack() {
  static const bool installed = [] {
    std::array<void*, 4> first{};
    backtrace(first.data(), static_cast<int>(first.size()));  // loads what it needs, which no handler may
    struct sigaction action {};
    action.sa_sigaction = &ThreadStack::on_signal;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    sigfillset(&action.sa_mask);
    return sigaction(stack_signal(), &action, nullptr) == 0;
  }();
  static_cast<void>(installed);  // without it there is no stack, that is all
}

ThreadStack::Attached::Attached(ThreadStack& stack) noexcept {
  own_stack = &stack;
  stack.thread_ = pthread_self();
  stack.attached_.store(true, std::memory_order_release);
  block_signal(SIG_UNBLOCK);
}

ThreadStack::Attached::~Attached() {
  block_signal(SIG_BLOCK);
  own_stack->attached_.store(false, std::memory_order_release);
  own_stack = nullptr;
}

void ThreadStack::on_signal(int, siginfo_t*, void* context) noexcept {
  const int saved = errno;
  if (own_stack != nullptr) own_stack->write(program_counter(context));
  errno = saved;
}

void ThreadStack::write(const void* interrupted_at) noexcept {
  if (state_.load(std::memory_order_acquire) != State::asked) return;
  count_ = backtrace(frames_.data(), static_cast<int>(frames_.size()));
  interrupted_at_ = interrupted_at;
  state_.store(State::written, std::memory_order_release);
}

void ThreadStack::ask() noexcept {
  if (!attached_.load(std::memory_order_acquire)) return;
  if (state_.load(std::memory_order_acquire) != State::asked) state_.store(State::asked, std::memory_order_release);
  pthread_kill(thread_, stack_signal());
}

std::vector<std::string> ThreadStack::take(SteadyTime until) {
  while (state_.load(std::memory_order_acquire) == State::asked && steady_now() < until) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  if (state_.load(std::memory_order_acquire) != State::written) return {};
  state_.store(State::idle, std::memory_order_relaxed);
  auto* first = frames_.data();
  auto* const last = first + count_;
  auto* const interrupted = std::find(first, last, interrupted_at_);  // before it: the handler
  if (interrupted != last) first = interrupted;
  const std::unique_ptr<char*, decltype(&std::free)> names(backtrace_symbols(first, static_cast<int>(last - first)),
                                                           &std::free);
  std::vector<std::string> out;
  for (std::ptrdiff_t i = 0; names && i < last - first; ++i) out.push_back(shorten(names.get()[i]));
  return out;
}

}  // namespace gatehouse
