// The secrets of challenges: the newest, and the one before, under which answers are still good.
#pragma once

#include "plugins/geneve-relay/wire/challenge.hpp"
#include "plugins/geneve-relay/wire/random_source.hpp"

#include <gatehouse/base/clock.hpp>

namespace gatehouse::geneve_relay {

/// A challenge is good for two to four minutes while handshakes come, and longer while none does. From one thread at a
/// time: one for each lane, as one lane has all handshakes of an endpoint.
class ChallengeSecrets {
 public:
  static constexpr Nanoseconds kAge = std::chrono::minutes(2);

  /// Makes the first secret. @throws as ChallengeMaker does
  ChallengeSecrets(RandomSource& random, SteadyTime now);

  /// Makes a new secret if the newest is kAge old: to be called ahead of each handshake. Allocates every kAge at most;
  /// if nothing can be had then, the present ones stay and the next call tries again.
  void look_at_clock(SteadyTime now) noexcept;

  /// Under the newest secret. None: see ChallengeMaker.
  [[nodiscard]] std::optional<Challenge> make(const ChallengeFacts& facts) noexcept;
  /// Was `challenge` made for these facts, under either?
  [[nodiscard]] bool is_made_for(const ChallengeFacts& facts, const Challenge& challenge) noexcept;

 private:
  RandomSource& random_;
  SteadyTime made_;
  ChallengeMaker newest_;
  std::optional<ChallengeMaker> former_;
};

}  // namespace gatehouse::geneve_relay
