#include "gateway/cli/cli.hpp"

#include "tests/unit/gateway/cli/cli_test.hpp"

#include <gmock/gmock.h>

namespace gatehouse {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;

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

TEST_F(Cli, EscapesWhatItDoesNotKnow) {
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"check", "\x1b[2J"}, {"check", "--\x1b[2J"}, {"usage", "--by", "\x1b[2J"}}) {
    const Outcome wrong = call(words);
    EXPECT_EQ(wrong.code, 2);
    EXPECT_THAT(wrong.err, AllOf(HasSubstr("\\u001b[2J"), Not(HasSubstr("\x1b"))));
  }
}

TEST_F(Cli, PrintsItsVersion) {
  const Outcome version = call({"--version"});
  EXPECT_EQ(version.code, 0);
  EXPECT_THAT(version.out, MatchesRegex("gatehouse [0-9]+\\.[0-9]+\\.[0-9]+\n"));
}

}  // namespace
}  // namespace gatehouse
