#include "gateway/services/notices.hpp"

#include <gatehouse/plugin/border.hpp>

#include <gtest/gtest.h>

namespace gatehouse {
namespace {

class NoticesTest : public testing::Test {
 protected:
  gh_status set(std::string_view name, std::string_view sentence, std::uint32_t kind = GH_NOTICE_NOTE) {
    const gh_notices& table = *notices_.table();
    return table.set(table.context, to_border(name), kind, to_border(sentence));
  }

  PluginNotices notices_;
};

TEST_F(NoticesTest, HoldUntilTheyAreTakenBack) {
  EXPECT_EQ(set("full", "it is full", GH_NOTICE_DEGRADED), GH_OK);
  EXPECT_EQ(set("buffers", "they are small"), GH_OK);
  ASSERT_EQ(notices_.all().size(), 2u);
  EXPECT_EQ(notices_.all()[0].sentence, "they are small");
  EXPECT_FALSE(notices_.all()[0].degrades);
  EXPECT_TRUE(notices_.all()[1].degrades);
  EXPECT_EQ(set("full", "it was full"), GH_OK);
  EXPECT_FALSE(notices_.all()[1].degrades);
  EXPECT_EQ(set("full", ""), GH_OK);
  EXPECT_EQ(set("full", ""), GH_OK) << "there is none";
  EXPECT_EQ(notices_.all().size(), 1u);
}

TEST_F(NoticesTest, AreFewAndShort) {
  EXPECT_EQ(set("", "of what?"), GH_E_INVALID);
  EXPECT_EQ(set(std::string(PluginNotices::kLongestName + 1, 'n'), "x"), GH_E_INVALID);
  EXPECT_EQ(set("n", std::string(PluginNotices::kLongestSentence + 1, 'x')), GH_E_INVALID);
  for (std::size_t i = 0; i < PluginNotices::kMost; ++i) EXPECT_EQ(set("n" + std::to_string(i), "x"), GH_OK);
  EXPECT_EQ(set("one more", "x"), GH_E_LIMIT);
  EXPECT_EQ(set("n0", "another sentence"), GH_OK);
}

}  // namespace
}  // namespace gatehouse
