#include "plugins/packet-tunnel/server/fragments.hpp"

#include <gtest/gtest.h>

#include <chrono>

namespace gatehouse::packet_tunnel {
namespace {

using namespace std::chrono_literals;

constexpr SteadyTime kStart{1h};

class FragmentsOfAClient : public testing::Test {
 protected:
  /// Of IPv4; `offset` and `size` are those of its payload, in bytes.
  static IpPacket facts(std::uint32_t id, std::size_t offset, std::size_t size, bool more) {
    IpPacket out;
    out.version = 4;
    out.protocol = kUdp;
    out.transport = 20;
    out.size = static_cast<std::uint32_t>(20 + size);
    out.fragment_id = id;
    out.fragment_offset = static_cast<std::uint16_t>(offset);
    out.is_fragment = true;
    out.more_fragments = more;
    return out;
  }
  bool first(std::uint32_t id, std::size_t size = 1400, SteadyTime now = kStart) {
    return fragments_.remember(facts(id, 0, size, true), packet_, false, now);
  }
  Fragments::Found later(std::uint32_t id, std::size_t offset, bool more, std::size_t size = 1400,
                         SteadyTime now = kStart) {
    return fragments_.find(facts(id, offset, size, more), packet_, now);
  }

  const std::array<std::byte, 20> packet_{};
  Fragments fragments_{true};
};

TEST_F(FragmentsOfAClient, PassBehindTheirFirst) {
  EXPECT_FALSE(later(1, 1400, false).is_there);
  EXPECT_TRUE(first(1));
  EXPECT_TRUE(later(1, 1400, true).is_there);
  EXPECT_FALSE(later(2, 1400, true).is_there) << "another packet's";
  EXPECT_TRUE(later(1, 2800, false).is_there);
  EXPECT_FALSE(later(1, 2800, false).is_there) << "it is whole";
}

TEST_F(FragmentsOfAClient, AreForgottenInTime) {
  EXPECT_TRUE(first(1));
  EXPECT_TRUE(later(1, 1400, true, 1400, kStart + 29s).is_there);
  EXPECT_FALSE(later(1, 2800, true, 1400, kStart + 31s).is_there);
}

TEST_F(FragmentsOfAClient, AreAsManyAsOneLikesWhereTheyBecomeWhole) {
  for (std::uint32_t id = 0; id < 10'000; ++id) {
    ASSERT_TRUE(first(id));
    ASSERT_TRUE(later(id, 1400, false).is_there);
  }
}

TEST_F(FragmentsOfAClient, MayBeOfTheLongestPacket) {
  ASSERT_TRUE(first(1, 1480));
  for (std::size_t at = 1480; at < 65'000; at += 1480) {
    const auto found = later(1, at, true, 1480);
    ASSERT_TRUE(found.is_there && !found.is_too_much) << at;
  }
}

TEST_F(FragmentsOfAClient, ThatNeverBecomeWholeAreFew) {
  std::uint32_t let_in = 0;
  for (std::uint32_t id = 0; id < 1000; ++id) let_in += first(id, 8) ? 1 : 0;
  EXPECT_EQ(let_in, Fragments::kPlaces);
  EXPECT_TRUE(first(5000, 8, kStart + 31s)) << "the kernel has forgotten them, too";
}

TEST_F(FragmentsOfAClient, OfOnePacketTakeABoundedMemoryOfTheKernel) {
  EXPECT_TRUE(first(1, 8));
  std::size_t let_in = 0;
  for (std::size_t at = 8; at < 65'000; at += 8) let_in += later(1, at, true, 8).is_too_much ? 0 : 1;
  EXPECT_LE(let_in * (8 + 20 + Fragments::kKernelCost), Fragments::kMostWaiting);
  EXPECT_FALSE(first(2));
}

TEST_F(FragmentsOfAClient, ThatAreSentTwiceMakeNothingWhole) {
  for (std::uint32_t id = 0; id < Fragments::kPlaces; ++id) {
    EXPECT_TRUE(first(id, 8));
    EXPECT_TRUE(later(id, 16, false, 8).is_there) << "the middle is missing";
    EXPECT_TRUE(first(id, 8));
  }
  EXPECT_FALSE(first(1000, 8));
}

TEST(FragmentsOfTheInternet, MakePlaceForNewOnes) {
  Fragments fragments(false);
  const std::array<std::byte, 20> packet{};
  IpPacket one;
  one.version = 4;
  one.is_fragment = one.more_fragments = true;
  for (one.fragment_id = 0; one.fragment_id < 1000; ++one.fragment_id)
    ASSERT_TRUE(fragments.remember(one, packet, false, kStart + Nanoseconds(one.fragment_id)));
  one.fragment_offset = 8;
  one.fragment_id = 999;
  EXPECT_TRUE(fragments.find(one, packet, kStart).is_there);
  one.fragment_id = 1;
  EXPECT_FALSE(fragments.find(one, packet, kStart).is_there);
}

}  // namespace
}  // namespace gatehouse::packet_tunnel
