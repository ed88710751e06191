#include "gateway/cli/policy/edit/token_verbs.hpp"

#include "gateway/base/sha256.hpp"
#include "tests/unit/gateway/cli/policy/edit/edit_test.hpp"

#include <gmock/gmock.h>

namespace gatehouse {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;

using TokenVerbs = EditTest;

TEST_F(TokenVerbs, AreShownOnceAndKeptAsHashes) {
  TokenArguments arguments;
  arguments.name = "bob";
  arguments.plugin = "udpgw";
  arguments.duration = "30d";
  const auto make = [&](bool json) { return text_of(token_new_verb, arguments, json); };
  const auto list = [&](bool json) { return text_of(token_list_verb, {}, json); };
  const auto revoke = [&](const std::string& which) { return text_of(token_revoke_verb, {which}); };
  EXPECT_THAT(list(false), HasSubstr("there are no tokens"));
  const std::string text = make(false);
  const std::string token = text.substr(0, text.find('\n'));
  EXPECT_THAT(token, MatchesRegex("ght_[A-Za-z0-9_-]+"));
  EXPECT_EQ(token.size(), 47u);
  EXPECT_THAT(text, HasSubstr("This is token:bob (credentials 1) for udpgw, until 20"));
  EXPECT_EQ(shell("SELECT kind, value, identity, plugin, expires_at - unixepoch() > 2591990 FROM credentials"),
            "token|" + to_hex(sha256(token)) + "|token:bob|udpgw|1\n");
  EXPECT_EQ(shell(".dump").find(token), std::string::npos);
  EXPECT_NE(body(make(true))["token"], token);
  EXPECT_EQ(list(false).find("ght_"), std::string::npos);
  EXPECT_THAT(list(false), HasSubstr("token:bob  udpgw   20"));
  EXPECT_EQ(body(list(true))["tokens"][1]["row"], 2);
  EXPECT_THAT(revoke("eve"), HasSubstr("there is no token `eve`"));
  EXPECT_THAT(revoke("2"), AllOf(HasSubstr("token:bob (credentials 2) is revoked."),
                                 HasSubstr("Who is connected with it stays so, without --cut")));
  EXPECT_THAT(revoke("bob"), HasSubstr("token:bob (credentials 1) is revoked."));
  EXPECT_EQ(shell("SELECT count(*) FROM credentials"), "0\n");
  for (const char* wrong : {"", "77", "a b", "a*", "x\x1b"}) {
    arguments.name = wrong;
    EXPECT_THAT(make(false), Not(HasSubstr("ght_"))) << wrong;
  }
}

}  // namespace
}  // namespace gatehouse
