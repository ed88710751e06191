#include "gateway/store/compact_text.hpp"

#include <gtest/gtest.h>

namespace gatehouse {
namespace {

TEST(CompactText, ComesBackAsItWas) {
  for (const std::string& text : {std::string("a"), std::string(255, 'x'), std::string("with\0a zero", 11)}) {
    const CompactText kept(text);
    EXPECT_EQ(std::string_view(kept), text);
    EXPECT_TRUE(kept == text);
    EXPECT_FALSE(kept == text + "y");
    EXPECT_FALSE(kept.empty());
  }
  static_assert(sizeof(CompactText) == sizeof(void*));
}

TEST(CompactText, IsEmptyByDefaultAndAfterAMove) {
  CompactText text("something");
  const CompactText moved = std::move(text);
  EXPECT_TRUE(text.empty());
  EXPECT_EQ(std::string_view(text), "");
  EXPECT_EQ(std::string_view(moved), "something");
  EXPECT_TRUE(CompactText("").empty());
  EXPECT_TRUE(CompactText() == "");
}

TEST(CompactText, MayBeThereWithoutBytes) {
  EXPECT_FALSE(CompactText::present("").empty());
  EXPECT_EQ(std::string_view(CompactText::present("")), "");
  EXPECT_EQ(std::string_view(CompactText::present("x")), "x");
}

TEST(SessionName, HasBothAsTheyWere) {
  for (const std::string& key : {std::string(), std::string("k"), std::string(255, '\xff'), std::string(32, '\0')})
    for (const std::string& identity : {std::string(), std::string("token:bob"), std::string(300, 'i')}) {
      const SessionName name(key, identity);
      EXPECT_EQ(name.key(), key);
      EXPECT_EQ(name.identity(), identity);
    }
  EXPECT_EQ(SessionName().key(), "");
  static_assert(sizeof(SessionName) == sizeof(void*));
}

TEST(CompactTexts, AreAddedAndErased) {
  CompactTexts texts;
  EXPECT_TRUE(texts.empty());
  for (const std::string& text : {std::string("vni:1"), std::string(255, 'x'), std::string("vni:2")}) texts.add(text);
  EXPECT_EQ(texts.size(), 3u);
  EXPECT_TRUE(texts.contains("vni:2"));
  EXPECT_FALSE(texts.contains("vni:3"));
  EXPECT_EQ(texts.find_if([](std::string_view one) { return one.ends_with('2'); }), "vni:2");
  EXPECT_EQ(texts.find_if([](std::string_view) { return false; }), "");
  texts.erase_if([](std::string_view one) { return one.starts_with('x'); });
  EXPECT_EQ(texts.size(), 2u);
  EXPECT_TRUE(texts.contains("vni:1") && texts.contains("vni:2"));
  texts.erase_if([](std::string_view) { return true; });
  EXPECT_TRUE(texts.empty());
  static_assert(sizeof(CompactTexts) == sizeof(void*));
}

TEST(SharedName, IsEmptyOrThatOfItsOwner) {
  const std::string name = "geneve-relay";
  EXPECT_TRUE(SharedName(name) == "geneve-relay");
  EXPECT_TRUE(SharedName() == "");
}

}  // namespace
}  // namespace gatehouse
