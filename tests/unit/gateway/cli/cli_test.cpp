#include "gateway/cli/cli.hpp"

#include "tests/unit/gateway/cli/cli_test.hpp"

#include <gmock/gmock.h>

namespace gatehouse {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;

using Cli = CliTest;

TEST_F(Cli, WrongUseIsTwo) {
  EXPECT_EQ(call({}).code, 2);
  EXPECT_EQ(call({"rnu"}).code, 2);
  EXPECT_EQ(call({"check", "--colour"}).code, 2);
  EXPECT_EQ(call({"plugin"}).code, 2);
  EXPECT_EQ(call({"attach"}).code, 2);
  EXPECT_EQ(call({"probe"}).code, 2);
  const Outcome help = call({"--help"});
  EXPECT_EQ(help.code, 0);
  EXPECT_THAT(help.out, HasSubstr("attach"));
}

TEST_F(Cli, PrintsItsVersion) {
  const Outcome version = call({"--version"});
  EXPECT_EQ(version.code, 0);
  EXPECT_THAT(version.out, MatchesRegex("gatehouse [0-9]+\\.[0-9]+\\.[0-9]+\n"));
}

}  // namespace
}  // namespace gatehouse
