#include "gateway/store/text_arena.hpp"
#include "gateway/store/short_text.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

namespace gatehouse {
namespace {

TEST(TextArena, GivesEachItsOwnRoom) {
  TextArena arena;
  std::vector<std::pair<char*, std::size_t>> taken;
  for (std::size_t round = 0; round < 200; ++round)
    for (const std::size_t size : {1u, 8u, 9u, 100u, 1000u, 1024u, 1025u, 100'000u}) {
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
