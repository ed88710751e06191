#include "plugins/geneve-relay/wire/challenge.hpp"

#include "plugins/geneve-relay/wire/challenge_secrets.hpp"
#include "plugins/geneve-relay/wire/random_pool.hpp"
#include "tests/unit/allocations.hpp"

#include <gtest/gtest.h>

#include <set>

namespace gatehouse::geneve_relay {
namespace {

using namespace std::chrono_literals;

ChallengeFacts facts() {
  ChallengeFacts out{7, 9, {}, Endpoint::parse("192.0.2.10:41641").value(), IpAddress::parse("192.0.2.1").value()};
  out.remote.bytes[31] = std::byte{1};
  return out;
}

TEST(Challenge, DependsOnEveryFact) {
  ChallengeMaker maker{SecretBytes()};
  std::set<Challenge> made;
  const auto make = [&](auto change) {
    ChallengeFacts changed = facts();
    change(changed);
    EXPECT_TRUE(made.insert(maker.make(changed).value()).second);
  };
  make([](ChallengeFacts&) {});
  make([](ChallengeFacts& f) { f.vni = 8; });
  make([](ChallengeFacts& f) { f.generation = 0; });
  make([](ChallengeFacts& f) { f.remote.bytes[31] = std::byte{2}; });
  make([](ChallengeFacts& f) { f.source.port = 41642; });
  make([](ChallengeFacts& f) { f.source.address = IpAddress::parse("192.0.2.11").value(); });
  make([](ChallengeFacts& f) { f.local = IpAddress::parse("192.0.2.2").value(); });
  make([](ChallengeFacts& f) { f.local = {}; });
  const auto link_local = [](std::uint32_t scope) {
    return [scope](ChallengeFacts& f) {
      f.source = {IpAddress::parse("fe80::1").value(), 1, scope};
      f.local = IpAddress::parse("fe80::2").value();
    };
  };
  for (const std::uint32_t scope : {0U, 1U, 4294967295U}) make(link_local(scope));
}

TEST(Challenge, MakingOneAllocatesNothing) {
  ChallengeMaker maker{SecretBytes()};
  const ChallengeFacts known = facts();
  const std::size_t before = allocations();
  const auto first = maker.make(known), second = maker.make(known);
  EXPECT_EQ(allocations(), before);
  EXPECT_EQ(first, second);
}

struct ChallengeSecretsTest : testing::Test {
  RandomPool random;
  SteadyTime start{1h};
  ChallengeSecrets secrets{random, start};
};

TEST_F(ChallengeSecretsTest, AChallengeIsGoodForTwoToFourMinutes) {
  const Challenge first = secrets.make(facts()).value();
  secrets.look_at_clock(start + 2min - 1ns);
  EXPECT_EQ(secrets.make(facts()), first);
  secrets.look_at_clock(start + 2min);
  EXPECT_NE(secrets.make(facts()), first);
  EXPECT_TRUE(secrets.is_made_for(facts(), first)) << "under the former";
  secrets.look_at_clock(start + 4min - 1ns);
  EXPECT_TRUE(secrets.is_made_for(facts(), first));
  secrets.look_at_clock(start + 4min);
  EXPECT_FALSE(secrets.is_made_for(facts(), first));
}

TEST_F(ChallengeSecretsTest, AChallengeIsForItsFactsOnly) {
  const Challenge made = secrets.make(facts()).value();
  EXPECT_TRUE(secrets.is_made_for(facts(), made));
  ChallengeFacts elsewhere = facts();
  ++elsewhere.source.port;
  EXPECT_FALSE(secrets.is_made_for(elsewhere, made));
  EXPECT_FALSE(secrets.is_made_for(facts(), Challenge()));
}

}  // namespace
}  // namespace gatehouse::geneve_relay
