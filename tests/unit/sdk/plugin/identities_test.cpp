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

/// A host that never has an answer at hand: it says that there is one, and has forgotten it when it is asked.
class ForgetfulHost {
 public:
  explicit ForgetfulHost(const gh_host* real) : real_(real) {}
  [[nodiscard]] const gh_host* table() const noexcept { return &table_; }

 private:
  static const void* get(void* context, const char* id) {
    const ForgetfulHost& self = *static_cast<const ForgetfulHost*>(context);
    if (std::string_view(id) == GH_IDENTITY_ID) return &self.identity_;
    return self.real_->get(self.real_->context, id);
  }
  static gh_status resolve(void*, gh_lane*, std::uint32_t, gh_bytes, char*, std::size_t, std::size_t*,
                           const gh_completion* later) {
    if (later != nullptr) later->done(later->context, later->token, GH_OK);
    return GH_PENDING;
  }

  const gh_host* real_;
  gh_identity identity_{sizeof(gh_identity), 0, this, &resolve, nullptr};
  gh_host table_{sizeof(gh_host), GH_ABI_MINOR, this, &get};
};

TEST_F(IdentitiesTest, AreAFailureWhereTheAnswerIsForgottenBeforeItIsRead) {
  const ForgetfulHost forgetful(host.table());
  const Host other(forgetful.table(), "test");
  const LaneContext its_context{other, &lane, loop, pending, completions};
  Identities its(its_context);
  its.identify(CredentialKind::unix_user, "7", note());
  EXPECT_TRUE(answers.empty());
  completions.deliver();
  EXPECT_THAT(answers, testing::ElementsAre(make_error_code(Errc::io).message()));
}

TEST_F(IdentitiesTest, AreWhatTheHostSaysWhereItFails) {
  host.delay_identities(1);
  identities->identify(CredentialKind::unix_user, std::string(300, '7'), note());
  completions.deliver();
  EXPECT_THAT(answers, testing::ElementsAre(make_error_code(Errc::limit).message()));
}

}  // namespace
}  // namespace gatehouse
