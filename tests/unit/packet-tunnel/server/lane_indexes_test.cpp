#include "plugins/packet-tunnel/server/lane_indexes.hpp"

#include <gmock/gmock.h>

#include <set>

namespace gatehouse::packet_tunnel {
namespace {

using testing::ElementsAre;

std::set<std::uint32_t> all_by_chance(LaneIndexes& indexes) {
  std::set<std::uint32_t> out;
  for (int i = 0; i < 2000; ++i)
    if (const auto one = indexes.any()) out.insert(*one);
  return out;
}

TEST(LaneIndexes, AreThoseOfTheRangesThatAreCongruentToTheLane) {
  LaneIndexes indexes(1, 4, 12345);
  indexes.use({{20, 27}, {3, 9}, {14, 14}});
  EXPECT_THAT(all_by_chance(indexes), ElementsAre(5, 9, 21, 25)) << "of 14 to 14 none is the lane's";
}

TEST(LaneIndexes, ComeOneAfterTheOtherAllAround) {
  LaneIndexes indexes(1, 4, 12345);
  indexes.use({{20, 27}, {3, 9}, {14, 14}});
  EXPECT_EQ(indexes.after(5), 9u);
  EXPECT_EQ(indexes.after(9), 21u);
  EXPECT_EQ(indexes.after(25), 5u);
  EXPECT_EQ(indexes.after(1000), 5u) << "whatever was given before the ranges changed";
}

TEST(LaneIndexes, AreAllOfARangeWhereThereIsOneLane) {
  LaneIndexes indexes(0, 1, 12345);
  indexes.use({{3, 5}});
  EXPECT_THAT(all_by_chance(indexes), ElementsAre(3, 4, 5));
  EXPECT_EQ(indexes.after(5), 3u);
}

TEST(LaneIndexes, MayBeNone) {
  LaneIndexes indexes(1, 2, 12345);
  EXPECT_FALSE(indexes.any());
  EXPECT_FALSE(indexes.after(7));
  indexes.use({{2, 2}});
  EXPECT_FALSE(indexes.any());
  EXPECT_FALSE(indexes.after(7));
}

}  // namespace
}  // namespace gatehouse::packet_tunnel
