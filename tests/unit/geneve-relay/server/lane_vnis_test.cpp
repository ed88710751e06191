#include "plugins/geneve-relay/server/lane_vnis.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gatehouse::geneve_relay {
namespace {

std::vector<std::uint32_t> some_of(LaneVnis& vnis, std::size_t count) {
  std::vector<std::uint32_t> out;
  for (std::size_t i = 0; i < count; ++i)
    if (const auto vni = vnis.next()) out.push_back(*vni);
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

}  // namespace
}  // namespace gatehouse::geneve_relay
