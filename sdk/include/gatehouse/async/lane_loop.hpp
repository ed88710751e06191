// A lane's event loop: an io_context for timers and calls from other threads, with the lane's Poller nested in it.
// Everything runs on the lane's thread, except post() and stop(), which any thread may call.
#pragma once

#include <gatehouse/async/busy_bucket.hpp>
#include <gatehouse/async/poller.hpp>
#include <gatehouse/base/clock.hpp>
#include <gatehouse/table/timer_wheel.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <functional>

namespace gatehouse {

/// Something that falls due. Embed one in its owner; it leaves the loop when it is destroyed.
class LaneTimer : public TimerNode {
 public:
  /// @param due  called on the lane, in a turn of its loop; may schedule or destroy the timer
  explicit LaneTimer(std::function<void()> due) : due_(std::move(due)) {}
  /// For the loop.
  void fire() { due_(); }

 private:
  std::function<void()> due_;
};

/// One per lane, run by its thread. Made before anything that uses it, and destroyed after.
class LaneLoop {
 public:
  /// @throws boost::system::system_error  the process is out of descriptors
  LaneLoop();
  LaneLoop(const LaneLoop&) = delete;
  LaneLoop& operator=(const LaneLoop&) = delete;

  /// For what speaks Asio. What runs there directly is in no turn of the loop: see on_turn().
  [[nodiscard]] boost::asio::io_context& context() noexcept { return context_; }
  /// For descriptors that carry packets.
  [[nodiscard]] Poller& poller() noexcept { return poller_; }
  /// For whoever reads what one write will take: counted in it, datagrams make a busy lane wait for more of them.
  [[nodiscard]] BusyBucket& busy() noexcept { return busy_; }
  /// The time at which the turn began: one clock reading a turn, not one a packet.
  [[nodiscard]] SteadyTime now() const noexcept { return now_; }

  /// Runs `due` of the timer `after` from now, once; replaces an earlier schedule(). To the millisecond.
  void schedule(LaneTimer& timer, Nanoseconds after);
  /// It does not fire; nothing happens if it was not scheduled. O(1), as schedule().
  void cancel(LaneTimer& timer) noexcept;

  /// Before and after each batch of readiness events, and after each call that came by post() or a timer:
  /// the places to take a new policy generation and to send what has gathered. Set before run().
  void on_turn(std::function<void()> before, std::function<void()> after);

  /// Another turn comes after this one at once, also where nothing is ready: for work that was put off so that others
  /// have their turn.
  void again() noexcept { again_ = true; }

  /// What runs before all of that at each turn, for whoever owns the lane: its policy, its heartbeat.
  void before_turn(std::function<void()> call);

  /// Serves until stop(). Sets the thread's timer slack to 1 ns, or a pause of 50 us would be twice as long.
  void run();
  /// Thread-safe: run() returns soon, or at once if it has not begun.
  void stop();
  /// Thread-safe: runs `call` on the lane.
  template <class Call>
  void post(Call call) {
    boost::asio::post(context_, [this, call = std::move(call)]() mutable { turn(call); });
  }

 private:
  template <class Call>
  void turn(Call& call) {
    begin_turn();
    call();
    after_turn_();
    arm_timer();
    if (wants_another() && !another_comes_) begin_another();
  }
  [[nodiscard]] bool wants_another() const noexcept { return again_ || poller_.has_more(); }
  void begin_another();
  void begin_turn() {
    now_ = steady_now();
    again_ = false;
    owner_();
    before_turn_();
  }
  void wait_ready();
  void serve_ready();
  void pause();
  void arm_timer();
  void serve_timers();

  boost::asio::io_context context_{1};  // one thread; posts from others are still safe
  Poller poller_;
  boost::asio::posix::stream_descriptor ready_;
  boost::asio::steady_timer clock_;
  SteadyTime now_ = steady_now();
  TimerWheel<LaneTimer> timers_;
  SteadyTime armed_ = SteadyTime::max();
  BusyBucket busy_;
  bool again_ = false, another_comes_ = false;  // asked for in this turn; posted
  std::function<void()> owner_ = [] {}, before_turn_ = [] {}, after_turn_ = [] {};
};

}  // namespace gatehouse
