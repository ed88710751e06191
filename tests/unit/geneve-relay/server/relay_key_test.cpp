// What the relay keeps of itself: its private key, and the secret that says which lane a pair has.
#include "tests/unit/geneve-relay/server/relay_rig.hpp"

#include <gmock/gmock.h>

namespace gatehouse::geneve_relay {
namespace {

constexpr std::string_view kName = "relay-key";

class RelayKey : public RelayPlugin {
 protected:
  /// As an earlier process left it.
  void put(std::string_view bytes) {
    const auto before = host.store().instance("geneve-relay");
    const gh_values& values = *before->values();
    ASSERT_EQ(values.put(values.context, to_border(kName), to_border(bytes), GH_VALUE_SECRET, nullptr), GH_OK);
  }
};

TEST_F(RelayKey, IsASecretAndStays) {
  TestClient a, b;
  run();
  const DiscoKey before = allocate(a, b).server;
  EXPECT_TRUE(host.store().is_secret("geneve-relay", std::string(kName)));
  restart(3);
  EXPECT_EQ(allocate(a, b).server, before);
}

TEST_F(RelayKey, IsTheValueThatIsKeptAndSaysWhichLaneAPairHas) {
  constexpr unsigned kLanes = 5;
  std::string kept;
  for (char c = 1; c <= 48; ++c) kept.push_back(c);
  put(kept);
  run(kLanes);
  DiscoPairHash::Secret secret;
  std::ranges::copy(bytes_of(kept).last(secret.size()), secret.begin());
  for (int i = 0; i < 8; ++i) {
    TestClient a, b;
    const ServerEndpoint endpoint = allocate(a, b);
    EXPECT_EQ(endpoint.server, DiscoSecret(bytes_of(kept).first(32)).public_key());
    EXPECT_EQ(endpoint.vni % kLanes, DiscoPairHash(secret)(endpoint.clients) % kLanes);
  }
}

TEST_F(RelayKey, ThatIsDamagedIsNotReplaced) {
  put(std::string(47, 'x'));
  try {
    run();
    FAIL() << "it has started";
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("is damaged: remove it"));
  }
  EXPECT_EQ(host.store().value("geneve-relay", std::string(kName)), std::string(47, 'x'));
}

TEST_F(RelayKey, ThatCannotBeKeptIsNone) {
  host.store().hold_durable(true);
  const auto failure = std::async(std::launch::async, [this] {
    EXPECT_TRUE(eventually([&] { return host.store().waiting() == 1; }));
    host.store().release_durable(GH_E_IO);
  });
  EXPECT_THROW(run(), std::runtime_error);
  failure.wait();
  host.store().hold_durable(false);
}

}  // namespace
}  // namespace gatehouse::geneve_relay
