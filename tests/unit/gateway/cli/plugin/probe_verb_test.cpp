#include "gateway/cli/plugin/probe_verb.hpp"

#include "tests/unit/gateway/cli/cli_test.hpp"

#include <gmock/gmock.h>

namespace gatehouse {
namespace {

using ProbeVerb = CliTest;

TEST_F(ProbeVerb, ProbePassesItsArgumentsOn) {
  const std::string file = config();
  const Outcome works = call({"probe", "--config", file, "--json", "probing", "works", "--json", "-x", "--dns", "a b"});
  EXPECT_EQ(works.code, 0) << works.err;
  EXPECT_EQ(works.out, "{\"arguments\":\"works|--json|-x|--dns|a b\"}\n");
  const Outcome fails = call({"probe", "--config", file, "probing", "fails"});
  EXPECT_EQ(fails.code, 1);
  EXPECT_EQ(fails.out, "arguments  fails\n");
  EXPECT_EQ(fails.err, "gatehouse: no answer came\n");
  const Outcome wrong = call({"probe", "--config", file, "probing", "perhaps"});
  EXPECT_EQ(wrong.code, 2);
  EXPECT_EQ(wrong.err,
            "gatehouse: the first word is works or fails\n"
            "gatehouse: usage: gatehouse probe probing works|fails [WORD...]\n");
  const Outcome none = call({"probe", "--config", file, "good"});
  EXPECT_EQ(none.code, 2);
  EXPECT_EQ(none.err, "gatehouse: plugin good offers no probe; ask its author for one\n");
}

TEST_F(ProbeVerb, OneWithoutArgumentsIsAboutWhatListensForThisMachine) {
  const auto asked = [this](const std::string& more) {
    return call({"probe", "--config", config(more), "--json", "probing"}).out;
  };
  const std::string by_itself = "{\"arguments\":\"unix:" + folder_.path().string() + "/probing-api.sock\"}\n";
  EXPECT_EQ(asked(""), by_itself);
  EXPECT_EQ(asked("[plugin.probing]\nlisten = [\"unix:/run/other.sock\"]\n"), by_itself);
  EXPECT_EQ(asked("[plugin.probing]\nlisten_api = [\"127.0.0.1:1\", \"unix:/run/own.sock\"]\n"),
            "{\"arguments\":\"unix:/run/own.sock\"}\n");
  EXPECT_EQ(asked("[plugin.probing]\nlisten_api = []\n"), "") << "the plugin says what is missing";
}

}  // namespace
}  // namespace gatehouse
