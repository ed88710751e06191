#include "gateway/daemon/descriptors.hpp"

#include <gtest/gtest.h>

namespace gatehouse {
namespace {

TEST(Descriptors, EvenTheLeastLimitLeavesSomeForClients) { EXPECT_GE(client_descriptors(64, {{2, 1}}), 8u); }

TEST(Descriptors, WhatTheGatewayNeedsIsNeverGivenAway) {
  for (std::uint64_t limit = 64; limit <= 1 << 20; limit += 97) {
    for (std::size_t plugins = 1; plugins <= 3; ++plugins) {
      const std::vector<PluginShape> shapes(plugins, {4, 2});
      const std::uint64_t given = plugins * client_descriptors(limit, shapes);
      const std::uint64_t own = 28 + plugins * (4 * (6 + 2) + 2) + 2 * http_connections(limit);
      ASSERT_TRUE(given == 0 || given + own <= limit) << limit;
    }
  }
}

TEST(Descriptors, MostOfALargeLimitIsForClients) {
  EXPECT_GT(client_descriptors(1024, {{2, 1}}), 850u);
  EXPECT_GT(client_descriptors(1 << 20, {{2, 1}}), (1u << 20) - 512);
}

TEST(Descriptors, ASixteenthOfTheLimitIsSpare) {
  constexpr std::uint64_t kGateway = 28, kPlugin = 3 * (6 + 2) + 2;
  EXPECT_EQ(client_descriptors(100, {{3, 2}}), 100 - kGateway - kPlugin - 8) << "8 at least";
  EXPECT_EQ(client_descriptors(1600, {{3, 2}}), 1600 - kGateway - kPlugin - 100);
  EXPECT_EQ(client_descriptors(100'000, {{3, 2}}), 100'000 - kGateway - kPlugin - 256) << "256 at most";
}

TEST(Descriptors, PluginsShareEvenly) {
  const std::uint64_t alone = client_descriptors(10'000, {{2, 1}});
  EXPECT_NEAR(static_cast<double>(client_descriptors(10'000, {{2, 1}, {2, 1}})), static_cast<double>(alone) / 2, 20);
}

TEST(Descriptors, NothingIsLeftOfTooFew) {
  EXPECT_EQ(client_descriptors(0, {{2, 1}}), 0u);
  EXPECT_EQ(client_descriptors(20, {}), 0u);
}

TEST(Descriptors, ConnectionsOfPeopleAreBoundedByTheLimit) {
  EXPECT_EQ(http_connections(64), 2u);
  EXPECT_EQ(http_connections(1024), 16u);
  EXPECT_EQ(http_connections(1 << 20), 64u);
}

}  // namespace
}  // namespace gatehouse
