#include "policy/month.hpp"

#include <gtest/gtest.h>

namespace gatehouse::policy {
namespace {

TEST(Month, BeginsOnItsFirstDay) {
  EXPECT_EQ(first_day_of_month(0), 0);
  EXPECT_EQ(first_day_of_month(30), 0);
  EXPECT_EQ(first_day_of_month(31), 31);
  EXPECT_EQ(first_day_of_month(19'782), 19'754) << "29 February 2024";
}

}  // namespace
}  // namespace gatehouse::policy
