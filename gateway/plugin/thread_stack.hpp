// Where a thread is that does not answer: its stack, which it writes down itself when a signal tells it to.
#pragma once

#include <gatehouse/base/clock.hpp>

#include <pthread.h>
#include <signal.h>

#include <array>
#include <atomic>
#include <string>
#include <vector>

namespace gatehouse {

/// One for each thread that may hang; it must outlive the thread. The signal is a real-time one of the gateway's own,
/// for these threads only; a system call that it interrupts says EINTR, as a thread that hangs has deserved.
class ThreadStack {
 public:
  static constexpr Nanoseconds kPatience = std::chrono::milliseconds(200);

  ThreadStack();
  ThreadStack(const ThreadStack&) = delete;
  ThreadStack& operator=(const ThreadStack&) = delete;

  /// From begin to end of the thread that it is for: on that thread, where the signal is unblocked meanwhile.
  class Attached {
   public:
    explicit Attached(ThreadStack& stack) noexcept;
    ~Attached();
    Attached(const Attached&) = delete;
    Attached& operator=(const Attached&) = delete;
  };

  // ---- another thread, always the same one, while the thread is neither joined nor detached
  /// Tells the thread to write its stack down. Does not wait.
  void ask() noexcept;
  /// "libc.so.6(clock_nanosleep+0x23)", the innermost first; waits for it until then. Empty: it did not answer, since
  /// it is in the kernel for good, or has blocked the signal.
  [[nodiscard]] std::vector<std::string> take(SteadyTime until);

 private:
  enum class State { idle, asked, written };
  static constexpr std::size_t kMostFrames = 48;

  static void on_signal(int signal, siginfo_t* info, void* context) noexcept;
  void write(const void* interrupted_at) noexcept;

  std::atomic<State> state_{State::idle};
  std::atomic<bool> attached_{false};
  pthread_t thread_{};  // set before attached_
  // Written between asked and written by the thread, read after that.
  std::array<void*, kMostFrames> frames_{};
  int count_ = 0;
  const void* interrupted_at_ = nullptr;
};

}  // namespace gatehouse
