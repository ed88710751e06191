// A rate for each source.
#include <gatehouse/plugin/source_limits.hpp>

#include <gtest/gtest.h>

namespace gatehouse {
namespace {

using namespace std::chrono_literals;

IpAddress address(const char* text) { return *IpAddress::parse(text); }

class SourceLimitsTest : public testing::Test {
 protected:
  SourceLimits limits{10, 3};  // a second, at once
  SteadyTime now{1'000s};
  bool take(const char* source) { return limits.take(address(source), now) == 0ns; }
};

TEST_F(SourceLimitsTest, LetABurstPassAndThenTheRate) {
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(take("192.0.2.1"));
  EXPECT_FALSE(take("192.0.2.1"));
  EXPECT_EQ(limits.take(address("192.0.2.1"), now), 100ms);
  now += 100ms;
  EXPECT_TRUE(take("192.0.2.1"));
  EXPECT_FALSE(take("192.0.2.1"));
}

TEST_F(SourceLimitsTest, CountSourcesApart) {
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(take("192.0.2.1"));
  EXPECT_TRUE(take("192.0.2.2"));
  EXPECT_FALSE(take("192.0.2.1"));
}

TEST_F(SourceLimitsTest, CountANetworkOfIpv6AsOneAndMappedAddressesAsTheirOwn) {
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(take("2001:db8::1"));
  EXPECT_FALSE(take("2001:db8::2"));
  EXPECT_TRUE(take("2001:db8:0:1::1"));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(take("192.0.2.1"));
  EXPECT_FALSE(take("::ffff:192.0.2.1"));
}

TEST_F(SourceLimitsTest, BoundWhatAllOfAnIpv6NetworkOf48BitsHasTogether) {
  unsigned taken = 0;
  for (unsigned i = 0; i < 100; ++i) taken += take(("2001:db8:7:" + std::to_string(i) + "::1").c_str()) ? 1 : 0;
  EXPECT_EQ(taken, 3 * SourceLimits::kShares);
  EXPECT_EQ(limits.take(address("2001:db8:7:200::1"), now), 12500us);
  EXPECT_TRUE(take("2001:db8:8::1")) << "the next /48";
  EXPECT_TRUE(take("192.0.2.1"));
  now += 12500us;
  EXPECT_TRUE(take("2001:db8:7:300::1"));
  EXPECT_FALSE(take("2001:db8:7:300::1"));
}

TEST_F(SourceLimitsTest, ForgetTheOneThatWasUsedLongestAgo) {
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(take("192.0.2.1"));
  EXPECT_FALSE(take("192.0.2.1"));
  for (unsigned i = 0; i < 100'000; ++i) {
    now += 1ns;
    EXPECT_EQ(limits.take(IpAddress::v4(0x0a000000 + i), now), 0ns);
  }
  EXPECT_TRUE(take("192.0.2.1"));
}

}  // namespace
}  // namespace gatehouse
