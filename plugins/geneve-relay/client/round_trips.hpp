// Data through the relay and back: from one client to the other, who returns it. What is sent is looked at bytewise.
#pragma once

#include "plugins/geneve-relay/client/probe_client.hpp"

#include <vector>

namespace gatehouse::geneve_relay {

inline constexpr std::size_t kLeastDataSize = 64, kMostDataSize = 65000;  ///< of UDP payload, Geneve header included

/// Not thread-safe.
class RoundTrips {
 public:
  /// Both are bound; they outlive this.
  RoundTrips(ProbeClient& first, ProbeClient& second, RandomSource& random);

  /// Until a packet has come back: the first ones may be lost, as nobody says when the relay has both Answers.
  /// @return false: none has until the deadline
  [[nodiscard]] bool begin(SteadyTime deadline);
  /// Has anything of begin() reached the second client?
  [[nodiscard]] bool has_reached_second() const noexcept { return has_reached_second_; }

  /// Sends `count` packets, of `least` to `most` bytes evenly, a new one every few milliseconds, and takes what comes
  /// back; a second at most for the last one.
  void run(unsigned count, std::size_t least, std::size_t most);

  [[nodiscard]] const std::vector<Nanoseconds>& sorted() const noexcept { return times_; }  ///< of run()
  [[nodiscard]] std::uint64_t damaged() const noexcept { return damaged_; }                 ///< not what was sent

 private:
  void start(std::size_t count);
  void send(std::uint32_t number, std::size_t size);
  /// Has the second client return what it got.
  void turn_round();
  void take_returned(SteadyTime now);
  [[nodiscard]] bool is_of_this_run(Bytes payload) const noexcept;
  [[nodiscard]] bool is_intact(Bytes payload) const noexcept;
  void work_until(SteadyTime deadline);

  ProbeClient &first_, &second_;
  RandomSource& random_;
  std::array<std::byte, 8> run_;  // tells packets of this run from others
  std::vector<SteadyTime> sent_;  // by number
  std::vector<bool> returned_;
  std::vector<Nanoseconds> times_;
  std::vector<std::byte> out_, in_;
  std::uint64_t damaged_ = 0;
  bool has_reached_second_ = false;
};

}  // namespace gatehouse::geneve_relay
