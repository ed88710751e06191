#include "gateway/store/pointer_list.hpp"

#include <gmock/gmock.h>

#include <array>

namespace gatehouse {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class PointerLists : public testing::Test {
 protected:
  void add(int number) {
    list.reserve_one_more();
    list.add(numbers.at(static_cast<std::size_t>(number)));
  }
  void erase(int number) {
    list.erase_if([number](int one) { return one == number; });
  }
  [[nodiscard]] std::vector<int> all() const {
    std::vector<int> out;
    list.for_each([&out](int one) { out.push_back(one); });
    EXPECT_EQ(list.size(), out.size());
    EXPECT_EQ(list.empty(), out.empty());
    return out;
  }

  std::array<int, 10> numbers{0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  PointerList<int> list;
};

TEST_F(PointerLists, HaveEachOnce) {
  EXPECT_THAT(all(), IsEmpty());
  for (const int number : {3, 3, 4, 3, 5, 4}) add(number);
  EXPECT_THAT(all(), ElementsAre(3, 4, 5));
  EXPECT_TRUE(list.contains(numbers[4]));
  EXPECT_FALSE(list.contains(numbers[6]));
}

TEST_F(PointerLists, GrowAndShrink) {
  add(7);
  erase(8);
  EXPECT_THAT(all(), ElementsAre(7));
  erase(7);
  EXPECT_THAT(all(), IsEmpty());
  for (int number = 0; number < 10; ++number) add(number);
  for (int number = 0; number < 9; ++number) erase(number);
  EXPECT_THAT(all(), ElementsAre(9));
  erase(9);
  EXPECT_THAT(all(), IsEmpty());
  add(1);
  EXPECT_THAT(all(), ElementsAre(1));
  list.clear();
  EXPECT_THAT(all(), IsEmpty());
}

TEST_F(PointerLists, TakeAPointersRoom) { static_assert(sizeof(list) == sizeof(void*)); }

}  // namespace
}  // namespace gatehouse
