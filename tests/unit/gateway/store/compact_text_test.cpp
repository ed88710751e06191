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

TEST(SharedName, IsEmptyOrThatOfItsOwner) {
  const std::string name = "geneve-relay";
  EXPECT_TRUE(SharedName(name) == "geneve-relay");
  EXPECT_TRUE(SharedName() == "");
}

}  // namespace
}  // namespace gatehouse
