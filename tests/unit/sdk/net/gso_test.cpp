#include <gatehouse/net/gso.hpp>

#include <gtest/gtest.h>

#include <chrono>

namespace gatehouse {
namespace {

TEST(GsoSelfTest, WorksHereAndTakesNoTime) {
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(gso_works());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1));
}

}  // namespace
}  // namespace gatehouse
