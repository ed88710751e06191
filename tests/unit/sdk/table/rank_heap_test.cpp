#include <gatehouse/table/rank_heap.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace gatehouse {
namespace {

template <class Rank>
struct Member {
  Rank rank;
};
template <class Rank>
using Heap = RankHeap<Member<Rank>, &Member<Rank>::rank>;

TEST(RankHeap, NamesNobodyWhenItIsEmpty) {
  Heap<Rank> heap;
  Member<Rank> stranger;
  EXPECT_EQ(heap.top(), nullptr);
  heap.remove(stranger);
  EXPECT_EQ(heap.size(), 0u);
}

template <class Rank>
void expect_most_through_every_change() {
  std::mt19937 random(1);
  std::vector<Member<Rank>> members(100);
  std::vector<bool> is_in(members.size());
  Heap<Rank> heap;
  for (int step = 0; step < 20000; ++step) {
    const std::size_t which = random() % members.size();
    is_in[which] = random() % 4 != 0;
    if (is_in[which]) {
      heap.set(members[which], static_cast<decltype(Rank::count)>(random() % 50));
    } else {
      heap.remove(members[which]);
      EXPECT_EQ(members[which].rank.count, 0u);
    }
    decltype(Rank::count) most = 0;
    for (std::size_t i = 0; i < members.size(); ++i)
      if (is_in[i]) most = std::max(most, members[i].rank.count);
    const auto size = static_cast<std::size_t>(std::count(is_in.begin(), is_in.end(), true));
    ASSERT_EQ(heap.size(), size);
    if (size == 0) continue;
    ASSERT_EQ(heap.top()->rank.count, most);
    ASSERT_TRUE(is_in[static_cast<std::size_t>(heap.top() - members.data())]);
  }
}

TEST(RankHeap, NamesWhoeverHasMostThroughEveryChange) {
  expect_most_through_every_change<Rank>();
  expect_most_through_every_change<SmallRank>();
}

}  // namespace
}  // namespace gatehouse
