#include "gateway/policy/key_meters.hpp"
#include "gateway/policy/calendar.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace gatehouse {
namespace {

using Kind = KeyMeters::Kind;
using Kept = std::shared_ptr<policy::Meters>;

constexpr policy::Periods kToday{20'000, 657};
const policy::QuotaLimit kDay{policy::Limit{1000, 1}, "day"};

/// One packet.
bool takes(policy::QuotaMeter& meter, const policy::QuotaLimit& limit, std::uint64_t bytes, policy::Periods now) {
  return meter.charge(limit, {1, bytes, 0}, now) == bytes;
}

IpAddress ip(const char* text) { return IpAddress::parse(text).value(); }

class KeyTable : public testing::Test {
 protected:
  Kept identity(const std::string& name) { return keys->open(name, {}); }
  Kept source(const char* address) { return keys->open("", ip(address)); }
  /// Leaves a mark in the meters of an identity, to know them again.
  void mark(const std::string& name) { EXPECT_TRUE(identity(name)->flows.try_open(0)); }
  bool is_remembered(const std::string& name) { return identity(name)->flows.open() == 1; }

  std::shared_ptr<KeyMeters> keys = std::make_shared<KeyMeters>(3);
};

TEST_F(KeyTable, SharesMetersByIdentityWhereverItComesFrom) {
  const Kept here = keys->open("token:bob", ip("192.0.2.1")), there = keys->open("token:bob", ip("127.0.0.1"));
  EXPECT_EQ(here, there);
  EXPECT_NE(here, identity("token:max"));
  EXPECT_NE(here, source("192.0.2.1"));
}

TEST_F(KeyTable, SharesMetersByNetworkWithoutAnIdentity) {
  const Kept v4 = source("192.0.2.1"), v6 = source("2001:db8:0:1::1");
  EXPECT_EQ(source("192.0.2.1"), v4);
  EXPECT_EQ(source("::ffff:192.0.2.1"), v4);
  EXPECT_NE(source("192.0.2.2"), v4);
  EXPECT_EQ(source("2001:db8:0:1:ffff::9"), v6);
  EXPECT_NE(source("2001:db8:0:2::1"), v6);
}

TEST_F(KeyTable, RestoresQuotasByTheNamesThatUsageIsKeptUnder) {
  const IpAddress v4 = ip("192.0.2.1"), v6 = ip("2001:db8:0:1::1");
  EXPECT_EQ(KeyMeters::key_text("", v6), "2001:db8:0:1::/64");
  keys->remember(KeyMeters::key_text("token:bob", v4), {kToday, 100, 100});
  keys->remember(KeyMeters::key_text("", v4), {kToday, 200, 200});
  keys->remember(KeyMeters::key_text("", v6), {kToday, 300, 300});
  EXPECT_EQ(keys->open("token:bob", v6)->quota.used(kDay, kToday), 100u);
  EXPECT_EQ(source("192.0.2.1")->quota.used(kDay, kToday), 200u);
  EXPECT_EQ(source("2001:db8:0:1::2")->quota.used(kDay, kToday), 300u);
  EXPECT_EQ(source("192.0.2.2")->quota.used(kDay, kToday), 0u);
}

TEST_F(KeyTable, KnowsNobodyBehindLoopbackOrAnUnknownSource) {
  EXPECT_EQ(source("127.0.0.1"), nullptr);
  EXPECT_EQ(source("127.9.0.1"), nullptr);
  EXPECT_EQ(source("::ffff:127.0.0.1"), nullptr);
  EXPECT_EQ(source("::1"), nullptr);
  EXPECT_EQ(keys->open("", {}), nullptr);
  EXPECT_EQ(keys->counts(Kind::source).refused, 0u);
}

TEST_F(KeyTable, ForgetsTheLongestIdleFirst) {
  for (const char* name : {"a", "b", "c"}) mark(name);
  EXPECT_TRUE(is_remembered("a"));  // used again: b is the longest idle now
  mark("d");
  EXPECT_EQ(keys->counts(Kind::identity).keys, 3u);
  EXPECT_EQ(keys->counts(Kind::identity).evictions, 1u);
  EXPECT_TRUE(is_remembered("a"));
  EXPECT_TRUE(is_remembered("c"));
  EXPECT_TRUE(is_remembered("d"));
  EXPECT_FALSE(is_remembered("b"));  // and that pushed out a
  EXPECT_FALSE(is_remembered("a"));
}

TEST_F(KeyTable, KnowsUsedQuotasWhenManyOtherKeysHaveCome) {
  EXPECT_TRUE(takes(source("192.0.2.1")->quota, kDay, 900, kToday));
  for (std::uint32_t i = 0; i < 100; ++i) EXPECT_NE(keys->open("", IpAddress::v4(0x08080000 + i)), nullptr);
  EXPECT_EQ(source("192.0.2.1")->quota.used(kDay, kToday), 900u);
  for (std::uint32_t i = 0; i < 100; ++i) EXPECT_NE(keys->open("", IpAddress::v4(0x08080000 + i)), nullptr);
  EXPECT_FALSE(takes(source("192.0.2.1")->quota, kDay, 101, kToday));
}

TEST_F(KeyTable, KeepsAsManyUsedQuotasAsKeysAndThoseFromBefore) {
  keys->remember("198.51.100.1/32", {kToday, 100, 100});
  for (std::uint32_t i = 0; i < 8; ++i)
    EXPECT_TRUE(takes(keys->open("", IpAddress::v4(0x08080000 + i))->quota, kDay, 900, kToday));
  // Three have meters; of those before, the last three and the place of the one from before remember.
  const auto used = [&](std::uint32_t i) {
    return keys->open("", IpAddress::v4(0x08080000 + i))->quota.used(kDay, kToday);
  };
  EXPECT_EQ(used(0), 0u);
  for (std::uint32_t i = 7; i >= 3; --i) EXPECT_EQ(used(i), 900u) << i;
}

TEST_F(KeyTable, NeverForgetsAKeyThatHasAClient) {
  const Kept a = identity("a"), also_a = identity("a");
  Kept b = identity("b");
  const Kept c = identity("c");
  EXPECT_EQ(identity("d"), nullptr);  // the client gets session limits only
  EXPECT_EQ(keys->counts(Kind::identity).refused, 1u);
  EXPECT_EQ(identity("a"), a);
  b.reset();
  EXPECT_NE(identity("d"), nullptr);
  EXPECT_EQ(identity("a"), a);
  EXPECT_EQ(keys->counts(Kind::identity).evictions, 1u);
}

TEST_F(KeyTable, NeverForgetsAnIdleKeyThatHasAClientAgain) {
  mark("a");
  mark("b");
  const Kept a = identity("a"), b = identity("b");
  {
    const Kept c = identity("c");
    EXPECT_EQ(identity("d"), nullptr) << "nobody is idle";
  }
  EXPECT_NE(identity("d"), nullptr);  // in the place of c
  EXPECT_EQ(identity("a"), a);
  EXPECT_EQ(identity("b"), b);
  EXPECT_EQ(a->flows.open(), 1u);
  EXPECT_EQ(keys->counts(Kind::identity).evictions, 1u);
}

TEST_F(KeyTable, KeepsIdentitiesApartFromSources) {
  mark("a");
  for (std::uint32_t i = 0; i < 100; ++i) EXPECT_NE(keys->open("", IpAddress::v4(0xc0000200 + i)), nullptr);
  EXPECT_TRUE(is_remembered("a"));
  EXPECT_EQ(keys->counts(Kind::identity).keys, 1u);
  EXPECT_EQ(keys->counts(Kind::source).keys, 3u);
  EXPECT_EQ(keys->counts(Kind::source).evictions, 97u);
}

TEST_F(KeyTable, HashesAddressesByWhatTheyReallyAre) {
  EXPECT_EQ(keys->hash_of(ip("::ffff:192.0.2.1")), keys->hash_of(ip("192.0.2.1")));
  EXPECT_EQ(keys->hash_of(ip("64:ff9b::192.0.2.1")), keys->hash_of(ip("192.0.2.1")));
  EXPECT_NE(keys->hash_of(ip("192.0.2.2")), keys->hash_of(ip("192.0.2.1")));
  EXPECT_NE(keys->hash_of(ip("2001:db8::1")), keys->hash_of(ip("2001:db8::2")));
  EXPECT_NE(keys->hash_of(ip("192.0.2.1")), std::make_shared<KeyMeters>()->hash_of(ip("192.0.2.1")));
}

TEST_F(KeyTable, OutlivesItselfInItsClients) {
  Kept a = identity("a");
  keys.reset();
  EXPECT_TRUE(a->flows.try_open(1));
}

TEST_F(KeyTable, IsSharedByThreads) {
  keys = std::make_shared<KeyMeters>(8);
  std::vector<std::thread> threads;
  for (unsigned me = 0; me < 4; ++me)
    threads.emplace_back([this, me] {
      for (unsigned i = 0; i < 3000; ++i) {
        const Kept mine = identity("token:" + std::to_string((i * 7 + me) % 20));
        if (!mine) continue;
        EXPECT_TRUE(mine->sessions.try_open(4));  // nobody else is counted here
        mine->sessions.close();
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(keys->counts(Kind::identity).keys, 8u);
}

TEST(Calendar, KnowsDayAndMonthInUtc) {
  using namespace std::chrono;
  const auto at = [](std::int64_t unix_seconds) {
    return Calendar(system_clock::time_point(seconds(unix_seconds))).periods();
  };
  EXPECT_EQ(at(0), (policy::Periods{0, 0}));
  EXPECT_EQ(at(86'399), (policy::Periods{0, 0}));
  EXPECT_EQ(at(86'400), (policy::Periods{1, 0}));
  EXPECT_EQ(at(951'782'399), (policy::Periods{11'015, 361}));  // 2000-02-28 23:59:59
  EXPECT_EQ(at(951'868'800), (policy::Periods{11'017, 362}));  // 2000-03-01
  Calendar calendar(system_clock::time_point(seconds(0)));
  calendar.refresh();
  EXPECT_GT(calendar.periods().day, 20'000u);
}

TEST(Calendar, KnowsWhenAPeriodEnds) {
  using namespace std::chrono;
  const auto end = [](policy::QuotaPeriod period, std::int64_t unix_seconds) {
    const auto now = Calendar(system_clock::time_point(seconds(unix_seconds))).periods();
    return duration_cast<seconds>(end_of(period, now).time_since_epoch()).count();
  };
  EXPECT_EQ(end(policy::QuotaPeriod::day, 951'782'399), 951'782'400);    // 2000-02-28 23:59:59
  EXPECT_EQ(end(policy::QuotaPeriod::month, 951'782'399), 951'868'800);  // 2000-03-01
  EXPECT_EQ(end(policy::QuotaPeriod::month, 946'684'799), 946'684'800);  // 1999-12-31 23:59:59
}

}  // namespace
}  // namespace gatehouse
