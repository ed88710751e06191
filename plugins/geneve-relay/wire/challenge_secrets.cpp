#include "plugins/geneve-relay/wire/challenge_secrets.hpp"

#include <exception>
#include <utility>

namespace gatehouse::geneve_relay {
namespace {

ChallengeMaker make_secret(RandomSource& random) {
  SecretBytes secret;
  random.fill(secret.bytes());
  return ChallengeMaker(secret);
}

}  // namespace

ChallengeSecrets::ChallengeSecrets(RandomSource& random, SteadyTime now)
    : random_(random), made_(now), newest_(make_secret(random)) {}

void ChallengeSecrets::look_at_clock(SteadyTime now) noexcept {
  if (now - made_ < kAge) return;
  try {
    former_ = std::exchange(newest_, make_secret(random_));
    made_ = now;
  } catch (const std::exception&) {
    // No memory: an old secret is better than none.
  }
}

std::optional<Challenge> ChallengeSecrets::make(const ChallengeFacts& facts) noexcept { return newest_.make(facts); }

bool ChallengeSecrets::is_made_for(const ChallengeFacts& facts, const Challenge& challenge) noexcept {
  const auto matches = [&](ChallengeMaker& maker) {
    const auto made = maker.make(facts);
    return made && *made == challenge;  // who asks has opened the box: nobody to hide the time from
  };
  return matches(newest_) || (former_ && matches(*former_));
}

}  // namespace gatehouse::geneve_relay
