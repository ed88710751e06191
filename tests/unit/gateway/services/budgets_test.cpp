#include "gateway/services/budgets.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gatehouse {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(Budgets, APluginReadsWhatTheHostHasSet) {
  PluginBudget budget;
  budget.set_memory(1'000'000);
  budget.set_descriptors(77);
  EXPECT_EQ(*budget.table()->memory_bytes, 1'000'000u);
  EXPECT_EQ(*budget.table()->descriptors, 77u);
  budget.set_memory(5);
  EXPECT_EQ(*budget.table()->memory_bytes, 5u);
}

TEST(Budgets, AShortageIsToldForSomeSecondsAndCountedForGood) {
  PluginBudget budget;
  budget.set_descriptors(77);
  EXPECT_THAT(budget.reasons(steady_now()), IsEmpty());
  const SteadyTime before = steady_now();
  budget.table()->ran_short(budget.table()->context, GH_RESOURCE_DESCRIPTORS);
  const SteadyTime after = steady_now();
  EXPECT_THAT(budget.reasons(before + PluginBudget::kShortageHolds - Nanoseconds(1)),
              ElementsAre(HasSubstr("77 descriptors are used up")));
  EXPECT_THAT(budget.reasons(after + PluginBudget::kShortageHolds), IsEmpty());
  EXPECT_EQ(budget.shortages(GH_RESOURCE_DESCRIPTORS), 1u);
  EXPECT_EQ(budget.shortages(GH_RESOURCE_MEMORY), 0u);
}

TEST(Budgets, EachResourceHasASentenceOfItsOwn) {
  PluginBudget budget;
  for (const std::uint32_t resource : {GH_RESOURCE_PORTS, GH_RESOURCE_MEMORY, GH_RESOURCE_DESCRIPTORS})
    budget.table()->ran_short(budget.table()->context, resource);
  EXPECT_THAT(budget.reasons(steady_now()),
              ElementsAre(HasSubstr("memory_bytes"), HasSubstr("LimitNOFILE"), HasSubstr("ip_local_port_range")));
}

TEST(Budgets, AResourceOfALaterVersionIsIgnored) {
  PluginBudget budget;
  budget.table()->ran_short(budget.table()->context, 99);
  EXPECT_THAT(budget.reasons(steady_now()), IsEmpty());
}

}  // namespace
}  // namespace gatehouse
