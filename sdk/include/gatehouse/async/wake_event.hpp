// How one thread gets another out of epoll_wait: an eventfd that is written only when its owner may be asleep.
#pragma once

#include <gatehouse/base/unique_fd.hpp>

#include <atomic>

namespace gatehouse {

/// signal() from any thread; everything else from the one that waits.
///
/// Memory order: both sides exchange one atomic with acquire-release. Either signal() comes first in its order, and
/// then clear() sees all that was written before signal(); or clear() comes first, and then signal() writes the
/// eventfd. So "publish, signal" against "clear, look" loses nothing.
class WakeEvent {
 public:
  /// @throws boost::system::system_error when there is no descriptor left
  WakeEvent();

  /// Readable while a signal is pending: put it into the lane's epoll set, level-triggered. Owned by this object.
  [[nodiscard]] int fd() const noexcept { return fd_.get(); }

  /// One atomic exchange; a system call only for the first signal after clear().
  void signal() noexcept {
    if (!pending_.exchange(true, std::memory_order_acq_rel)) write();
  }

  /// Forgets pending signals; call it when fd() is readable, before looking for what they announced. One system call.
  void clear() noexcept {
    read();  // first: a signal that comes in between is then a wake-up too many, in place of one that is lost
    pending_.exchange(false, std::memory_order_acq_rel);
  }

 private:
  void write() noexcept;
  void read() noexcept;

  UniqueFd fd_;
  std::atomic<bool> pending_{false};
};

}  // namespace gatehouse
