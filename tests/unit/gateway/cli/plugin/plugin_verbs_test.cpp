#include "gateway/cli/plugin/plugin_verbs.hpp"

#include "tests/unit/gateway/cli/cli_test.hpp"

#include <gmock/gmock.h>

namespace gatehouse {
namespace {

using testing::HasSubstr;

using PluginVerbs = CliTest;

TEST_F(PluginVerbs, PluginListShowsGoodAndBad) {
  const Outcome outcome = call({"plugin", "list", "--config", config("[plugin.good]\n"), "--json"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("\"summary\": \"Does nothing, well.\""));
  EXPECT_THAT(outcome.out, HasSubstr("that is no plugin manifest"));
}

TEST_F(PluginVerbs, PluginDescribeShowsOptionsAndProbe) {
  const Outcome outcome = call({"plugin", "describe", "probing", "--config", config()});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("probe     works|fails [WORD...]\n"));
  EXPECT_THAT(outcome.out, HasSubstr("\nlisteners\nNAME        KINDS             REQUIRED  DEFAULT\n"
                                     "listen      stream, datagram  no        -\n"
                                     "listen_api  stream            no        unix:" +
                                     folder_.path().string() + "/probing-api.sock\n"));
  EXPECT_THAT(outcome.out, HasSubstr("\noptions\nNAME   TYPE     DEFAULT  ALLOWED  RELOAD  DESCRIPTION\n"
                                     "depth  integer  3        1..9     live    How deep.\n"));
  const Outcome unknown = call({"plugin", "describe", "probin", "--config", config()});
  EXPECT_EQ(unknown.code, 2);
  EXPECT_EQ(unknown.err,
            "gatehouse: there is no plugin probin in the configuration or in gateway.plugin_dirs; did you mean "
            "`probing`?\n");
}

TEST_F(PluginVerbs, PluginDisableIsSeenByCheck) {
  const std::string file = config("[plugin.good]\n[plugin.none]\n");
  EXPECT_EQ(call({"check", "--config", file}).code, 2);
  EXPECT_EQ(call({"plugin", "disable", "none", "--config", file}).code, 0);
  EXPECT_EQ(call({"check", "--config", file}).code, 0);
  folder_.write("gatehouse.d/95-more.toml", "[plugin.none]\nenabled = false\n");
  const Outcome overridden = call({"plugin", "enable", "none", "--config", file});
  EXPECT_EQ(overridden.code, 2);
  EXPECT_THAT(overridden.err, HasSubstr("nothing was changed: a later file than"));
}

}  // namespace
}  // namespace gatehouse
