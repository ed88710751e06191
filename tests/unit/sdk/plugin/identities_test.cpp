#include <gatehouse/plugin/identities.hpp>

#include "tests/unit/sdk/plugin/lane_fixture.hpp"

namespace gatehouse {
namespace {

class IdentitiesTest : public LaneTest {
 protected:
  std::optional<Identities> identities{context};
  std::vector<std::string> answers;
  std::function<void(Result<std::string>)> note() {
    return
        [this](const Result<std::string>& answer) { answers.push_back(answer ? *answer : answer.error().message()); };
  }
};

TEST_F(IdentitiesTest, AreToldWithinTheCallWhereTheyAreAtHand) {
  identities->identify(CredentialKind::unix_user, "7", note());
  identities->identify(CredentialKind::token, "secret", note());
  EXPECT_THAT(answers, testing::ElementsAre("unix:7", "not found"));
}

TEST_F(IdentitiesTest, ComeOnTheLaneWhereTheSystemIsAsked) {
  host.delay_identities(1);
  identities->identify(CredentialKind::unix_user, "7", note());
  EXPECT_TRUE(answers.empty());
  completions.deliver();
  EXPECT_THAT(answers, testing::ElementsAre("unix:7"));
}

TEST_F(IdentitiesTest, AreNotToldToWhoHasGone) {
  host.delay_identities(1);
  identities->identify(CredentialKind::unix_user, "7", note());
  identities.reset();
  completions.deliver();
  EXPECT_TRUE(answers.empty());
}

}  // namespace
}  // namespace gatehouse
