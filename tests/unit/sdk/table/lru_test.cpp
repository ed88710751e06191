#include <gatehouse/table/lru.hpp>

#include <gtest/gtest.h>

#include <list>
#include <random>
#include <vector>

namespace gatehouse {
namespace {

struct Links {
  std::vector<LruLink> all = std::vector<LruLink>(16);
  LruLink& operator()(std::uint32_t slot) { return all[slot]; }
};

std::vector<std::uint32_t> from_newest(const Lru& lru, Links& links) {
  std::vector<std::uint32_t> out;
  for (std::uint32_t slot = lru.newest(); slot != kNoSlot; slot = links(slot).older) out.push_back(slot);
  return out;
}

TEST(Lru, StartsEmpty) {
  Links links;
  Lru lru;
  EXPECT_TRUE(lru.empty());
  EXPECT_EQ(lru.oldest(), kNoSlot);
  lru.remove(3, links);
  EXPECT_TRUE(lru.empty());
}

TEST(Lru, NamesTheOneThatWasTouchedLongestAgo) {
  Links links;
  Lru lru;
  for (const std::uint32_t slot : {1u, 2u, 3u, 1u}) lru.touch(slot, links);
  EXPECT_EQ(lru.oldest(), 2u);
  EXPECT_EQ(lru.newest(), 1u);
  EXPECT_EQ(lru.size(), 3u);
}

TEST(Lru, LivesWithOneMember) {
  Links links;
  Lru lru;
  lru.touch(5, links);
  lru.touch(5, links);
  EXPECT_EQ(lru.size(), 1u);
  lru.remove(5, links);
  EXPECT_TRUE(lru.empty());
  EXPECT_EQ(lru.newest(), kNoSlot);
  lru.touch(5, links);
  EXPECT_EQ(lru.oldest(), 5u);
}

TEST(Lru, AgreesWithAPlainList) {
  Links links;
  Lru lru;
  std::list<std::uint32_t> model;
  std::mt19937 random(1);
  for (int i = 0; i < 5000; ++i) {
    const auto slot = static_cast<std::uint32_t>(random() % 16);
    model.remove(slot);
    if (random() % 3 == 0) {
      lru.remove(slot, links);
    } else {
      lru.touch(slot, links);
      model.push_front(slot);
    }
    ASSERT_EQ(from_newest(lru, links), std::vector<std::uint32_t>(model.begin(), model.end())) << "step " << i;
    ASSERT_EQ(lru.size(), model.size());
    ASSERT_EQ(lru.oldest(), model.empty() ? kNoSlot : model.back());
  }
}

}  // namespace
}  // namespace gatehouse
