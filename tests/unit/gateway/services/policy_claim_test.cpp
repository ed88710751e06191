// gh_policy.claim as a plugin meets it: what is taken for a prefix, and whose claims are in force.
#include "tests/unit/gateway/services/policy_table.hpp"

#include <vector>

namespace gatehouse {
namespace {

gh_prefix prefix(const char* text) {
  const Prefix read = Prefix::parse(text).value();
  const gh_endpoint endpoint = to_border(Endpoint{read.address(), 0, 0});
  gh_prefix out{};
  std::copy(std::begin(endpoint.bytes), std::end(endpoint.bytes), out.bytes);
  out.family = endpoint.family;
  out.length = static_cast<std::uint8_t>(read.length());
  return out;
}

class ClaimTable : public PolicyTable {
 protected:
  static gh_status claim(const PluginPolicy& of, const std::vector<gh_prefix>& prefixes) {
    return of.table()->claim(of.table()->context, prefixes.data(), prefixes.size());
  }
  /// What is claimed, as text.
  std::vector<std::string> claimed() const {
    std::vector<std::string> out;
    for (const policy::ClaimedPrefix& one : claims->all()) out.push_back(one.prefix.to_string() + ' ' + one.plugin);
    return out;
  }
  using Texts = std::vector<std::string>;

  std::shared_ptr<PlaceClaims> claims = std::make_shared<PlaceClaims>();
  std::optional<PluginPolicy> tunnel{std::in_place, board, keys,
                                     PluginPolicy::Spec{.plugin = "tunnel", .claims = claims}};
  std::optional<PluginPolicy> relay{std::in_place, board, keys,
                                    PluginPolicy::Spec{.plugin = "relay", .claims = claims}};
};

TEST_F(ClaimTable, ReplacesWhatTheInstanceClaimedBefore) {
  EXPECT_EQ(claim(*tunnel, {prefix("10.8.0.0/16"), prefix("fd42::/64")}), GH_OK);
  EXPECT_EQ(claim(*relay, {prefix("10.9.0.0/16")}), GH_OK);
  EXPECT_EQ(claimed(), (Texts{"10.8.0.0/16 tunnel", "10.9.0.0/16 relay", "fd42::/64 tunnel"}));
  EXPECT_EQ(claim(*tunnel, {prefix("10.7.0.0/16")}), GH_OK);
  EXPECT_EQ(claimed(), (Texts{"10.7.0.0/16 tunnel", "10.9.0.0/16 relay"}));
  EXPECT_EQ(claim(*tunnel, {}), GH_OK);
  EXPECT_EQ(claimed(), Texts{"10.9.0.0/16 relay"});
}

TEST_F(ClaimTable, HoldsUntilEveryInstanceOfThePluginIsGone) {
  PluginPolicy successor{board, keys, {.plugin = "tunnel", .claims = claims}};
  EXPECT_EQ(claim(*tunnel, {prefix("10.8.0.0/16")}), GH_OK);
  EXPECT_EQ(claim(successor, {prefix("10.8.0.0/16")}), GH_OK);
  tunnel.reset();
  EXPECT_EQ(claimed(), Texts{"10.8.0.0/16 tunnel"});
  successor.let_go();
  EXPECT_EQ(claimed(), Texts{});
}

TEST_F(ClaimTable, OfAnAbandonedInstanceHoldsUntilItsSuccessorClaims) {
  EXPECT_EQ(claim(*tunnel, {prefix("10.8.0.0/16")}), GH_OK);
  EXPECT_EQ(claim(*relay, {prefix("10.9.0.0/16")}), GH_OK);
  tunnel->abandoned();
  claims->forget("relay");
  EXPECT_EQ(claimed(), (Texts{"10.8.0.0/16 tunnel", "10.9.0.0/16 relay"}));
  PluginPolicy successor{board, keys, {.plugin = "tunnel", .claims = claims}};
  EXPECT_EQ(claim(successor, {prefix("10.7.0.0/16")}), GH_OK);
  EXPECT_EQ(claimed(), (Texts{"10.7.0.0/16 tunnel", "10.9.0.0/16 relay"}));
  relay->abandoned();
  claims->forget("relay");
  EXPECT_EQ(claimed(), Texts{"10.7.0.0/16 tunnel"});
}

TEST_F(ClaimTable, RefusesWhatMakesNoSense) {
  EXPECT_EQ(claim(*tunnel, {prefix("10.8.0.0/16")}), GH_OK);
  gh_prefix odd = prefix("10.0.0.0/8");
  for (const std::uint8_t length : std::initializer_list<std::uint8_t>{0, 33, 255}) {
    odd.length = length;
    EXPECT_EQ(claim(*tunnel, {prefix("10.9.0.0/16"), odd}), GH_E_INVALID) << int{length};
  }
  odd.length = 8;
  for (const std::uint8_t family : std::initializer_list<std::uint8_t>{0, 5}) {
    odd.family = family;
    EXPECT_EQ(claim(*tunnel, {odd}), GH_E_INVALID);
  }
  gh_prefix mapped = prefix("fd42::/96");
  std::fill(std::begin(mapped.bytes), std::end(mapped.bytes), std::uint8_t{0});
  mapped.bytes[10] = mapped.bytes[11] = 0xff;  // IPv4 stands in the first four bytes
  EXPECT_EQ(claim(*tunnel, {mapped}), GH_E_INVALID);
  EXPECT_EQ(claim(*tunnel, std::vector<gh_prefix>(257, prefix("10.9.0.0/16"))), GH_E_INVALID);
  EXPECT_EQ(claimed(), Texts{"10.8.0.0/16 tunnel"}) << "all or nothing";
  EXPECT_EQ(claim(*tunnel, std::vector<gh_prefix>(256, prefix("10.9.0.0/16"))), GH_OK);
  EXPECT_EQ(claim(plugin, {prefix("10.8.0.0/16")}), GH_E_UNSUPPORTED);  // of a host without places
}

TEST_F(ClaimTable, IsJudgedForRunningClientsOfOtherPlugins) {
  gh_client* const client = open("");  // of udpgw
  EXPECT_EQ(check(client, "8.8.8.8", 53).action, GH_ACTION_ALLOW);
  EXPECT_EQ(claim(*tunnel, {prefix("8.8.0.0/16")}), GH_OK);
  policy::Surroundings around;
  around.claims = claims->all();
  board->publish(policy::compile(model(), around, ++generation, 0).snapshot);
  table->refresh(table->context, &lane.head);
  EXPECT_EQ(check(client, "8.8.8.8", 53).reason, GH_REASON_HARD_DENY);
  EXPECT_EQ(check(client, "9.9.9.9", 53).action, GH_ACTION_ALLOW);

  HostLane own;
  own.policy = tunnel->make_lane();
  lane.policy.swap(own.policy);
  table = tunnel->table();
  EXPECT_EQ(check(open(""), "8.8.8.8", 53).action, GH_ACTION_ALLOW);
  lane.policy.swap(own.policy);
}

}  // namespace
}  // namespace gatehouse
