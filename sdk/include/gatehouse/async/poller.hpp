// A lane's own epoll set, for the descriptors that carry packets. Level-triggered, nothing is re-armed: a socket that
// stays in the set costs no system call but its reads. One per lane; not thread-safe.
#pragma once

#include <gatehouse/base/error.hpp>
#include <gatehouse/base/unique_fd.hpp>

#include <sys/epoll.h>

#include <array>
#include <cstdint>
#include <vector>

namespace gatehouse {

/// Whoever wants to know that a descriptor is ready.
class Readiness {
 public:
  /// `events`: EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP as epoll_wait(2) gave them. May add, modify and remove any
  /// descriptor, also its own, and may destroy any Readiness whose descriptor it has removed.
  virtual void on_ready(std::uint32_t events) = 0;

 protected:
  ~Readiness() = default;
};

/// One that holds input back, of which the kernel does not tell: see Poller::deliver_again().
class HeldReadiness : public Readiness {
 protected:
  HeldReadiness() = default;
  HeldReadiness(const HeldReadiness&) = delete;
  HeldReadiness& operator=(const HeldReadiness&) = delete;
  ~HeldReadiness() = default;

 private:
  friend class Poller;
  bool is_told_again_ = false;  // waits for that
};

/// Tells each descriptor's Readiness what epoll_wait(2) says of it. Everything is called on the lane's thread.
class Poller {
 public:
  /// Throws boost::system::system_error when the process is out of descriptors.
  Poller();

  /// The set itself, readable when one of its descriptors is ready: for nesting in another event loop.
  [[nodiscard]] int fd() const noexcept { return epoll_.get(); }

  /// `target` must live until remove(). One system call each.
  [[nodiscard]] Result<void> add(int fd, std::uint32_t events, Readiness& target) noexcept;
  /// Other events from now on, of a descriptor that is in the set.
  void modify(int fd, std::uint32_t events, Readiness& target) noexcept;
  /// Takes `fd` out before it is closed; an event of this turn that has not been delivered yet is forgotten.
  void remove(int fd, Readiness& target) noexcept;
  /// The same, and what was asked for by deliver_again() is forgotten.
  void remove(int fd, HeldReadiness& target) noexcept;
  /// As remove(), for a descriptor that is closed right now: saves the system call. Only for a descriptor of which
  /// no other process or thread holds a duplicate.
  void forget(Readiness& target) noexcept;

  /// Tells `target`, whose descriptor is in the set, of `events` in the next turn, once however often it was asked: for
  /// what has been read of the descriptor and not been given out yet, which the kernel does not tell of. Allocates
  /// where more wait than ever.
  void deliver_again(HeldReadiness& target, std::uint32_t events);
  /// Does anybody wait for that? Then another turn is to come.
  [[nodiscard]] bool has_more() const noexcept { return !again_.empty(); }

  /// Delivers what is ready now, at most kBatch events, without waiting, and what deliver_again() has asked for.
  /// Returns their number.
  std::size_t turn();

  static constexpr std::size_t kBatch = 512;  ///< events of a turn

 private:
  UniqueFd epoll_;
  std::array<epoll_event, kBatch> events_;
  std::size_t count_ = 0, at_ = 0;  // of the turn under way
  struct Again {
    HeldReadiness* target;
    std::uint32_t events;
  };
  std::vector<Again> again_, delivering_;
};

}  // namespace gatehouse
