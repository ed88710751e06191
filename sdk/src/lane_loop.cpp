#include <gatehouse/async/lane_loop.hpp>

#include <boost/system/system_error.hpp>

#include <fcntl.h>
#include <sys/prctl.h>
#include <time.h>

namespace gatehouse {
namespace {

constexpr int kTurnsInARow = 32;  // then timers and calls from other threads have their chance

}  // namespace

LaneLoop::LaneLoop() : ready_(context_), clock_(context_), timers_(now_) {
  UniqueFd copy(fcntl(poller_.fd(), F_DUPFD_CLOEXEC, 0));  // Asio closes what it is given
  if (!copy) throw boost::system::system_error(last_system_error(), "watch the lane's sockets");
  ready_.assign(copy.release());
}

void LaneLoop::on_turn(std::function<void()> before, std::function<void()> after) {
  before_turn_ = std::move(before);
  after_turn_ = std::move(after);
}

void LaneLoop::before_turn(std::function<void()> call) { owner_ = std::move(call); }

void LaneLoop::run() {
  prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
  now_ = steady_now();
  arm_timer();
  wait_ready();
  context_.run();
}

void LaneLoop::stop() { context_.stop(); }

/// One at most is on its way: if each turn that comes of a timer or a call began a row of its own, there would be more
/// and more of them, and a poll only after each had its turn.
void LaneLoop::begin_another() {
  another_comes_ = true;
  boost::asio::post(context_, [this] {
    another_comes_ = false;
    const auto serve_again = [this] {
      if (poller_.has_more()) poller_.turn();
    };
    turn(serve_again);
  });
}

void LaneLoop::wait_ready() {
  ready_.async_wait(boost::asio::posix::stream_descriptor::wait_read, [this](const Error& error) {
    if (!error) serve_ready();
  });
}

void LaneLoop::serve_ready() {
  for (int i = 0; i < kTurnsInARow; ++i) {
    begin_turn();
    busy_.begin_turn(now_);
    const std::size_t delivered = poller_.turn();
    if (busy_.wants_pause()) pause();
    after_turn_();
    if (delivered == 0 && !wants_another()) break;
    if (armed_ <= now_) break;
  }
  arm_timer();
  wait_ready();
  if (wants_another() && !another_comes_) begin_another();
}

/// More of what this turn has found little of. The thread sleeps where no datagram wakes it, which saves the sender its
/// wake-ups, too.
void LaneLoop::pause() {
  const timespec time{0, BusyBucket::kPause.count()};
  clock_nanosleep(CLOCK_MONOTONIC, 0, &time, nullptr);
  now_ = steady_now();
  poller_.turn();
}

void LaneLoop::schedule(LaneTimer& timer, Nanoseconds after) {
  timers_.schedule(timer, now_ + after);
  if (timers_.next() < armed_) arm_timer();
}

void LaneLoop::cancel(LaneTimer& timer) noexcept { timer.cancel(); }

void LaneLoop::arm_timer() {
  const SteadyTime due = timers_.next();
  if (due == armed_) return;
  armed_ = due;
  if (due == SteadyTime::max()) {
    clock_.cancel();
    return;
  }
  clock_.expires_at(due);
  clock_.async_wait([this](const Error& error) {
    if (!error) serve_timers();
  });
}

void LaneLoop::serve_timers() {
  armed_ = SteadyTime::max();
  const auto fire = [this] { timers_.advance(now_, [](LaneTimer& timer) { timer.fire(); }); };
  turn(fire);
}

}  // namespace gatehouse
