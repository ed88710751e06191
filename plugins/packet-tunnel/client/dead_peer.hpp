// Notices that the other end is gone, at no cost while nothing is sent: only what was written and not answered sets a
// clock going. A value; time is an argument.
#pragma once

#include <gatehouse/base/clock.hpp>

#include <optional>

namespace gatehouse::packet_tunnel {

class DeadPeer {
 public:
  static constexpr Nanoseconds kSilence = std::chrono::seconds(10);  ///< after a write, before the peer is asked
  static constexpr Nanoseconds kAnswer = std::chrono::seconds(5);    ///< that it has then

  /// Something was written at `now`.
  void wrote(SteadyTime now) noexcept {
    if (!waits_since_) waits_since_ = now;
  }
  /// Something was read.
  void heard() noexcept {
    if (is_asked_) answers_questions_ = true;
    waits_since_.reset();
    is_asked_ = false;
  }

  enum class Step {
    none,
    ask,   ///< send something that the server answers
    dead,  ///< it has answered such a thing before, and does not any more
  };
  /// What to do at `now`; then ask again at due().
  [[nodiscard]] Step check(SteadyTime now) noexcept {
    if (!waits_since_ || now < *due()) return Step::none;
    if (is_asked_ && answers_questions_) return Step::dead;
    const bool asks = !is_asked_;
    is_asked_ = true;
    waits_since_ = now;
    return asks ? Step::ask : Step::none;
  }
  /// When check() has something to say; none: not before the next write.
  [[nodiscard]] std::optional<SteadyTime> due() const noexcept {
    if (!waits_since_ || (is_asked_ && !answers_questions_)) return {};
    return *waits_since_ + (is_asked_ ? kAnswer : kSilence);
  }

 private:
  std::optional<SteadyTime> waits_since_;  // for the first thing to be read
  bool is_asked_ = false;
  bool answers_questions_ = false;  // policy may forbid the answer: then silence proves nothing, and TCP has to tell
};

}  // namespace gatehouse::packet_tunnel
