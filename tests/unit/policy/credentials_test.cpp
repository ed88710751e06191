// Rows of `credentials` through compile(): who presents what.
#include "policy/compile.hpp"

#include <gtest/gtest.h>

namespace gatehouse::policy {
namespace {

const std::string kHash(64, 'a');

Credential row(std::int64_t id, std::string kind, std::string value, std::string identity,
               std::optional<std::string> plugin = {}, Life life = {}) {
  return {id, std::move(kind), std::move(value), std::move(identity), std::move(plugin), life};
}

Compiled compiled(std::vector<Credential> rows, std::int64_t now = 1000) {
  Model model;
  model.credentials = std::move(rows);
  return compile(model, {}, 1, now);
}

std::string who(const Compiled& policy, CredentialKind kind, std::string_view value, std::string_view plugin) {
  return std::string(policy.snapshot->parts().credentials.find(kind, value, plugin).identity);
}

TEST(Credentials, BelongToTheirKindAndValue) {
  const Compiled policy = compiled({row(1, "token", kHash, "token:bob"), row(2, "cert", "bob.example", "cert:bob"),
                                    row(3, "unix", "bob", "unix:robert"), row(4, "relay_key", "AbCd", "relay:site")});
  EXPECT_TRUE(policy.problems.empty());
  EXPECT_EQ(who(policy, CredentialKind::token, kHash, "udpgw"), "token:bob");
  EXPECT_EQ(who(policy, CredentialKind::token, std::string(64, 'b'), "udpgw"), "");
  EXPECT_EQ(who(policy, CredentialKind::cert, "bob.example", "udpgw"), "cert:bob");
  EXPECT_EQ(who(policy, CredentialKind::cert, "bob", "udpgw"), "");
  EXPECT_EQ(who(policy, CredentialKind::unix_user, "bob", "udpgw"), "unix:robert");
  EXPECT_EQ(who(policy, CredentialKind::relay_key, "aBcD", "relay"), "relay:site");
  EXPECT_EQ(who(policy, CredentialKind::relay_key, std::string(1000, 'a'), "relay"), "");
  EXPECT_EQ(policy.snapshot->parts().credentials.find(CredentialKind::cert, "bob.example", "udpgw").row, 2);
}

TEST(Credentials, OfOnePluginBeatThoseOfAllThenTheLowerId) {
  const Compiled policy = compiled({row(1, "unix", "bob", "unix:all"), row(2, "unix", "bob", "unix:tunnel", "tunnel"),
                                    row(3, "unix", "ann", "unix:ann", "tunnel"), row(4, "unix", "bob", "unix:all")});
  EXPECT_TRUE(policy.problems.empty());
  EXPECT_EQ(who(policy, CredentialKind::unix_user, "bob", "udpgw"), "unix:all");
  EXPECT_EQ(policy.snapshot->parts().credentials.find(CredentialKind::unix_user, "bob", "udpgw").row, 1);
  EXPECT_EQ(who(policy, CredentialKind::unix_user, "bob", "tunnel"), "unix:tunnel");
  EXPECT_EQ(who(policy, CredentialKind::unix_user, "ann", "udpgw"), "");
}

TEST(Credentials, OfAnyRelayKeyYieldToAnExactOne) {
  const Compiled policy =
      compiled({row(1, "relay_key", "*", "relay:any", "relay"), row(2, "relay_key", "00ff", "relay:a"),
                row(3, "relay_key", "11ff", "relay:b", "other")});
  EXPECT_TRUE(policy.problems.empty());
  EXPECT_EQ(who(policy, CredentialKind::relay_key, "00FF", "relay"), "relay:a");
  EXPECT_EQ(who(policy, CredentialKind::relay_key, "1234", "relay"), "relay:any");
  EXPECT_EQ(who(policy, CredentialKind::relay_key, "11ff", "relay"), "relay:any");
  EXPECT_EQ(who(policy, CredentialKind::relay_key, "11ff", "other"), "relay:b");
  EXPECT_EQ(who(policy, CredentialKind::relay_key, "1234", "other"), "");
}

TEST(Credentials, CountWhileEnabledAndNotExpired) {
  const std::vector<Credential> rows{row(1, "unix", "off", "unix:off", {}, {.enabled = false, .expires_at = {}}),
                                     row(2, "unix", "bob", "unix:b", {}, {.enabled = true, .expires_at = 1000})};
  EXPECT_EQ(who(compiled(rows, 999), CredentialKind::unix_user, "bob", "udpgw"), "unix:b");
  EXPECT_EQ(compiled(rows, 999).next_expiry, 1000);
  EXPECT_EQ(who(compiled(rows, 1000), CredentialKind::unix_user, "bob", "udpgw"), "");
  EXPECT_EQ(who(compiled(rows, 999), CredentialKind::unix_user, "off", "udpgw"), "");
  EXPECT_EQ(compiled(rows).snapshot->parts().credentials.size(), 0u);
}

}  // namespace
}  // namespace gatehouse::policy
