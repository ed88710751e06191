#include "gateway/store/text_arena.hpp"
#include "gateway/store/short_text.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <random>
#include <string>
#include <vector>

namespace gatehouse {
namespace {

TEST(TextArena, GivesEachItsOwnRoom) {
  TextArena arena;
  std::vector<std::pair<char*, std::size_t>> taken;
  for (std::size_t round = 0; round < 200; ++round)
    for (const std::size_t size : {1u, 8u, 9u, 100u, 500u, 512u, 513u, 100'000u}) {
      char* const room = arena.take(size);
      std::memset(room, static_cast<int>(taken.size() % 251), size);
      taken.emplace_back(room, size);
    }
  for (std::size_t i = 0; i < taken.size(); ++i) {
    const auto [room, size] = taken[i];
    EXPECT_TRUE(std::all_of(room, room + size, [i](char one) { return one == static_cast<char>(i % 251); })) << i;
    arena.give_back(room, size);
  }
}

TEST(TextArena, HasFreedRoomForTextsOfThatSize) {
  TextArena arena;
  char* const room = arena.take(17);
  EXPECT_NE(arena.take(17), room);
  arena.give_back(room, 17);
  EXPECT_NE(arena.take(16), room);
  EXPECT_EQ(arena.take(24), room) << "in steps of 8";
}

// A client chooses how long its key is.
TEST(TextArena, HasRoomThatIsFreeForTextsOfAnySize) {
  TextArena arena;
  constexpr std::size_t kBytes = std::size_t{8} << 20U;
  for (std::size_t size = 8; size <= TextArena::kLargest; size += 24) {
    std::vector<char*> taken;
    for (std::size_t all = 0; all < kBytes; all += size) taken.push_back(arena.take(size));
    for (char* room : taken) arena.give_back(room, size);
  }
  EXPECT_LE(arena.mapped_bytes(), kBytes * 5 / 4);
}

TEST(TextArena, GivesMemoryBack) {
  const auto resident = [] {
    std::size_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages >> pages;
    return pages * TextArena::kPage;
  };
  TextArena arena;
  constexpr std::size_t kSize = 100, kBytes = std::size_t{64} << 20U;
  std::vector<char*> taken(kBytes / kSize);
  const std::size_t before = resident();
  for (char*& room : taken) *(room = arena.take(kSize)) = 1;
  EXPECT_GT(resident(), before + kBytes * 9 / 10);
  for (char* room : taken) arena.give_back(room, kSize);
  EXPECT_LT(resident(), before + kBytes / 4);
  for (char*& room : taken) *(room = arena.take(kSize)) = 1;
  EXPECT_LE(arena.mapped_bytes(), kBytes * 9 / 8);
}

TEST(TextArena, GivesNoRoomTwiceHoweverItIsTakenAndGivenBack) {
  TextArena arena;
  std::mt19937 random(1);
  std::vector<std::pair<char*, std::size_t>> taken;
  for (int i = 0; i < 100'000; ++i) {
    if (taken.size() > 3000 || (!taken.empty() && random() % 3 == 0)) {
      std::swap(taken[random() % taken.size()], taken.back());
      const auto [room, size] = taken.back();
      taken.pop_back();
      const auto mark = static_cast<char>(size % 251);
      ASSERT_TRUE(std::all_of(room, room + size, [mark](char one) { return one == mark; }));
      arena.give_back(room, size);
      continue;
    }
    const std::size_t size = 1 + random() % 600;
    char* const room = arena.take(size);
    std::memset(room, static_cast<int>(size % 251), size);
    taken.emplace_back(room, size);
  }
}

TEST(ShortText, ComesBackAsItWas) {
  TextArena arena;
  ShortText text;
  EXPECT_EQ(std::string_view(text), "");
  for (const std::size_t size : {1u, 15u, 16u, 0u, 255u, 256u, 70'000u, 3u}) {
    const std::string wanted(size, static_cast<char>('a' + size % 26));
    text.write(arena, wanted);
    EXPECT_EQ(std::string_view(text), wanted);
  }
  text.clear(arena);
  EXPECT_EQ(std::string_view(text), "");
}

}  // namespace
}  // namespace gatehouse
