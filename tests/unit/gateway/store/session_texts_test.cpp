#include "gateway/store/session_texts.hpp"

#include <gtest/gtest.h>

#include <string>

namespace gatehouse {
namespace {

using Parts = SessionTexts::Parts;

TEST(SessionTexts, ComeBackAsTheyWere) {
  TextArena arena;
  for (const std::string& key : {std::string(), std::string("k"), std::string(255, '\xff'), std::string(32, '\0')})
    for (const std::string& identity : {std::string(), std::string("token:bob"), std::string(70'000, 'i')})
      for (const std::optional<std::string_view> payer : {std::optional<std::string_view>(), {"192.0.2.7/32"}, {""}})
        for (const std::string& blob : {std::string(), std::string(254, 'b'), std::string(4096, '\0')}) {
          SessionTexts texts;
          const Parts parts{key, identity, payer, blob};
          texts.write(arena, parts);
          EXPECT_TRUE(texts.read() == parts);
          EXPECT_EQ(texts.key(), key);
          EXPECT_EQ(texts.identity(), identity);
          texts.clear(arena);
          EXPECT_TRUE(texts.read() == Parts());
        }
  static_assert(sizeof(SessionTexts) == sizeof(void*));
}

TEST(SessionTexts, TellABlobOfNoBytesFromNone) {
  TextArena arena;
  SessionTexts texts;
  texts.write(arena, {.key = "k"});
  EXPECT_FALSE(texts.read().blob);
  texts.write(arena, {.key = "k", .blob = ""});
  EXPECT_TRUE(texts.read().blob);
}

TEST(SessionTexts, AreWrittenAnewFromTheirOwnParts) {
  TextArena arena;
  SessionTexts texts;
  texts.write(arena, {.key = "key", .identity = "token:bob", .blob = "one"});
  Parts parts = texts.read();
  parts.blob = "another, longer one";
  texts.write(arena, parts);
  EXPECT_TRUE((texts.read() == Parts{.key = "key", .identity = "token:bob", .blob = "another, longer one"}));
  texts.write(arena, {});
  EXPECT_EQ(texts.key(), "");
}

}  // namespace
}  // namespace gatehouse
