#include "plugins/geneve-relay/server/lane_vnis.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gatehouse::geneve_relay {
namespace {

std::vector<std::uint32_t> some_of(LaneVnis& vnis, std::size_t count, const VniSet& in_use = {}) {
  std::vector<std::uint32_t> out;
  for (std::size_t i = 0; i < count; ++i)
    if (const auto vni = vnis.next(in_use)) out.push_back(*vni);
  return out;
}

TEST(LaneVnis, AreCongruentToTheLaneAndComeAgainLast) {
  LaneVnis vnis(1, 3, 5);
  vnis.use({{0, 12}});
  EXPECT_THAT(some_of(vnis, 6), testing::ElementsAre(7, 10, 1, 4, 7, 10));
}

TEST(LaneVnis, AreNeitherZeroNorAboveTheHeadersField) {
  LaneVnis vnis(0, 1, 0xfffffe);
  vnis.use({{0, UINT64_MAX}});
  EXPECT_THAT(some_of(vnis, 3), testing::ElementsAre(0xffffff, 1, 2));
}

TEST(LaneVnis, AreOfTheRangesAlone) {
  LaneVnis vnis(0, 2, 0);
  vnis.use({{20, 23}, {3, 4}});
  EXPECT_THAT(some_of(vnis, 4), testing::ElementsAre(4, 20, 22, 4));
  vnis.use({{5, 5}});
  EXPECT_THAT(some_of(vnis, 1), testing::IsEmpty());
}

TEST(LaneVnis, AreNotInUse) {
  LaneVnis vnis(1, 2, 0);
  vnis.use({{1, 9}, {20, 25}});
  VniSet in_use;
  for (const std::uint32_t vni : {1, 2, 3, 7, 21, 25}) in_use.add(vni);
  EXPECT_THAT(some_of(vnis, 4, in_use), testing::ElementsAre(5, 9, 23, 5));
  for (const std::uint32_t vni : {5, 9, 23}) in_use.add(vni);
  EXPECT_EQ(vnis.next(in_use), std::nullopt);
  in_use.remove(7);
  EXPECT_EQ(vnis.next(in_use), 7u);
}

/// However many are in use side by side, and whatever other lanes have.
TEST(LaneVnis, AreFoundWhereverOneIsFree) {
  for (const std::uint32_t lanes : {1u, 2u, 3u, 7u}) {
    VniSet in_use;
    for (std::uint32_t vni = 1; vni <= kLargestVni; ++vni) in_use.add(vni);
    for (const std::uint32_t free : {1u, 63u, 64u, 4096u, 1'000'000u, kLargestVni}) {
      LaneVnis vnis(free % lanes, lanes, 5'000'000);
      vnis.use({{0, UINT64_MAX}});
      in_use.remove(free);
      EXPECT_EQ(vnis.next(in_use), free) << lanes;
      if (lanes > 1) {
        LaneVnis other((free + 1) % lanes, lanes, 5'000'000);
        other.use({{0, UINT64_MAX}});
        EXPECT_EQ(other.next(in_use), std::nullopt);
      }
      in_use.add(free);
    }
  }
}

TEST(VniSet, HasWhatWasAdded) {
  VniSet set;
  for (const std::uint32_t vni : {0u, 1u, 63u, 64u, kLargestVni}) {
    EXPECT_FALSE(set.has(vni));
    set.add(vni);
    EXPECT_TRUE(set.has(vni));
  }
  set.remove(63);
  EXPECT_FALSE(set.has(63));
  EXPECT_TRUE(set.has(64));
}

}  // namespace
}  // namespace gatehouse::geneve_relay
