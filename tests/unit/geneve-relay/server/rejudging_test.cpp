#include "plugins/geneve-relay/server/rejudging.hpp"

#include <gatehouse/table/slab.hpp>

#include <gtest/gtest.h>

#include <string>

namespace gatehouse::geneve_relay {
namespace {

/// Five endpoints, and what becomes of them: "a" is that it is judged, "A" that it is admitted.
class Rejudged : public testing::Test {
 protected:
  Rejudged() {
    for (const char name : {'a', 'b', 'c', 'd', 'e'}) endpoints_.emplace(name);
    rejudging_.begin();
  }
  void go_on(std::size_t budget) {
    const bool judges = rejudging_.sweep() == Rejudging::Sweep::judge;
    rejudging_.go_on(endpoints_, budget,
                     [&](SlotHandle, char name) { seen_ += judges ? name : static_cast<char>(name - 'a' + 'A'); });
  }

  Slab<char> endpoints_;
  Rejudging rejudging_;
  std::string seen_;
};

TEST_F(Rejudged, AllAreJudgedBeforeAnyIsAdmitted) {
  for (std::size_t budget = 1; budget < 8; ++budget) {
    seen_.clear();
    rejudging_.begin();
    while (rejudging_.sweep() != Rejudging::Sweep::none) go_on(budget);
    EXPECT_EQ(seen_, "abcdeABCDE") << budget;
  }
}

TEST_F(Rejudged, AnotherPolicyMeanwhileBeginsWithTheFirstSweep) {
  while (rejudging_.sweep() == Rejudging::Sweep::judge) go_on(2);
  go_on(2);
  EXPECT_EQ(seen_, "abcdeAB");
  rejudging_.begin();
  while (rejudging_.sweep() != Rejudging::Sweep::none) go_on(4);
  EXPECT_EQ(seen_, "abcdeABabcdeABCDE");
}

TEST(Rejudging, OfNoneIsSoonOver) {
  Slab<char> none;
  Rejudging rejudging;
  EXPECT_EQ(rejudging.sweep(), Rejudging::Sweep::none);
  rejudging.begin();
  EXPECT_TRUE(rejudging.go_on(none, 1, [](SlotHandle, char) {}));
  EXPECT_EQ(rejudging.sweep(), Rejudging::Sweep::admit);
  EXPECT_TRUE(rejudging.go_on(none, 1, [](SlotHandle, char) {}));
  EXPECT_EQ(rejudging.sweep(), Rejudging::Sweep::none);
}

}  // namespace
}  // namespace gatehouse::geneve_relay
