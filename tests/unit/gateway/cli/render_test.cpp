#include "gateway/cli/render.hpp"

#include <gtest/gtest.h>

namespace gatehouse {
namespace {

TEST(TextTable, AlignsColumnsByCharacters) {
  EXPECT_EQ(text_table({{"NAME", "STATE"}, {"udpgw", "ok"}, {"\xc3\xa9", "down"}}),
            "NAME   STATE\n"
            "udpgw  ok\n"
            "\xc3\xa9      down\n");
}

TEST(Render, PlainMembersThenTables) {
  EXPECT_EQ(render(R"({"state":"degraded","reasons":["a","b"],
                       "plugins":[{"name":"echo","lanes":2},{"name":"udpgw","failed":true}],
                       "policy":{"generation":7,"problems":[]}})"),
            "state              degraded\n"
            "reasons            a, b\n"
            "policy.generation  7\n"
            "policy.problems    -\n"
            "\n"
            "plugins\n"
            "NAME   LANES  FAILED\n"
            "echo   2      -\n"
            "udpgw  -      yes\n");
}

TEST(Render, ListAloneIsATable) {
  EXPECT_EQ(render(R"([{"id":1,"ok":false},{"id":22,"ok":true}])"),
            "ID  OK\n"
            "1   no\n"
            "22  yes\n");
}

TEST(Render, ControlCharactersAreShown) {
  EXPECT_EQ(render("{\"name\":\"a\\u001b[2Jb\"}"), "name  a\\x1b[2Jb\n");
  EXPECT_EQ(render("no json\x07"), "no json\\x07\n");
}

}  // namespace
}  // namespace gatehouse
