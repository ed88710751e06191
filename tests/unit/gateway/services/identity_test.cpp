// gh.identity/1 as a plugin calls it.
#include "gateway/services/identity.hpp"
#include "gateway/base/lane.hpp"
#include "gateway/base/sha256.hpp"
#include "gateway/services/policy.hpp"
#include "policy/compile.hpp"
#include "tests/unit/gateway/store/waiter.hpp"

#include <gatehouse/plugin/border.hpp>

#include <gmock/gmock.h>

#include <array>
#include <future>
#include <thread>

namespace gatehouse {
namespace {

using policy::Credential;

class Identity : public testing::Test {
 protected:
  Identity() { lane.policy = policy_.make_lane(); }
  void publish(std::vector<Credential> rows) {
    policy::Model model;
    model.credentials = std::move(rows);
    board_->publish(policy::compile(model, {}, ++generation_, 1000).snapshot);
    policy_.table()->refresh(policy_.table()->context, &lane.head);
  }
  gh_status resolve(const PluginIdentities& face, std::uint32_t kind, std::string_view value,
                    const gh_completion* later = nullptr) {
    const gh_identity& table = *face.table();
    std::size_t size = 0;
    const gh_status status =
        table.resolve(table.context, &lane.head, kind, to_border(value), out_.data(), out_.size(), &size, later);
    identity.assign(out_.data(), status == GH_OK ? size : 0);
    return status;
  }
  /// What a plugin gets in the end; "" = nobody's.
  std::string asked(const PluginIdentities& face, std::uint32_t kind, std::string_view value) {
    Waiter waiter;
    gh_status status = resolve(face, kind, value, &waiter.completion);
    if (status == GH_PENDING) {
      EXPECT_TRUE(waiter.came());
      EXPECT_EQ(waiter.status, GH_OK);
      status = resolve(face, kind, value, &waiter.completion);
    }
    EXPECT_EQ(status, status == GH_OK ? GH_OK : GH_E_NOT_FOUND);
    return identity;
  }

  std::uint64_t generation_ = 0;
  std::shared_ptr<SnapshotBoard> board_ =
      std::make_shared<SnapshotBoard>(policy::Snapshot::without_policy(generation_));
  PluginPolicy policy_{board_, std::make_shared<KeyMeters>(), {.plugin = "udpgw"}};
  HostLane lane;
  std::array<char, 256> out_;
  std::string identity;
  std::shared_ptr<UserNames> users_ = std::make_shared<UserNames>();
  PluginIdentities udpgw_{users_, "udpgw"};
};

TEST_F(Identity, OfAUnixUserIsItsNameUnlessARowSaysOtherwise) {
  EXPECT_EQ(asked(udpgw_, GH_CREDENTIAL_UNIX, "0"), "unix:root");
  EXPECT_EQ(asked(udpgw_, GH_CREDENTIAL_UNIX, "4000000000"), "");
  EXPECT_EQ(asked(udpgw_, GH_CREDENTIAL_UNIX, "0x"), "");
  EXPECT_EQ(asked(udpgw_, GH_CREDENTIAL_UNIX, ""), "");
  publish({{1, "unix", "root", "unix:admin", "udpgw", {}}});
  EXPECT_EQ(asked(udpgw_, GH_CREDENTIAL_UNIX, "0"), "unix:admin");
  EXPECT_EQ(asked(PluginIdentities(users_, "echo"), GH_CREDENTIAL_UNIX, "0"), "unix:root");
}

TEST_F(Identity, OfAUserIsNotWaitedForOnTheLane) {
  std::promise<void> answer;
  auto held = answer.get_future().share();
  const auto slow = std::make_shared<UserNames>([held](uid_t) -> std::optional<std::string> {
    held.wait();
    return "bob";
  });
  Waiter waiter;
  const PluginIdentities face(slow, "udpgw");
  EXPECT_EQ(resolve(face, GH_CREDENTIAL_UNIX, "7"), GH_PENDING) << "without a completion";
  EXPECT_EQ(resolve(face, GH_CREDENTIAL_UNIX, "7", &waiter.completion), GH_PENDING);
  EXPECT_EQ(waiter.calls, 0);
  answer.set_value();
  ASSERT_TRUE(waiter.came());
  EXPECT_EQ(waiter.status, GH_OK);
  EXPECT_EQ(resolve(face, GH_CREDENTIAL_UNIX, "7"), GH_OK);
  EXPECT_EQ(identity, "unix:bob");
}

TEST_F(Identity, OfAUserIsGivenUpWhenTheSystemDoesNotAnswer) {
  std::promise<void> answer;
  auto held = answer.get_future().share();
  const auto slow = std::make_shared<UserNames>([held](uid_t) -> std::optional<std::string> {
    held.wait();
    return {};
  });
  Waiter waiter;
  const PluginIdentities face(slow, "udpgw");
  EXPECT_EQ(resolve(face, GH_CREDENTIAL_UNIX, "7", &waiter.completion), GH_PENDING);
  slow->expire(steady_now());
  EXPECT_EQ(waiter.calls, 0);
  slow->expire(steady_now() + UserNames::kMostWait);
  EXPECT_EQ(waiter.calls, 1);
  EXPECT_EQ(waiter.status, GH_E_IO);
  answer.set_value();
}

TEST_F(Identity, OfAUserFailsWhereTheSystemDoes) {
  const auto broken = std::make_shared<UserNames>(
      [](uid_t) -> std::optional<std::string> { throw std::runtime_error("no directory"); });
  const PluginIdentities face(broken, "udpgw");
  Waiter waiter;
  EXPECT_EQ(resolve(face, GH_CREDENTIAL_UNIX, "7", &waiter.completion), GH_PENDING);
  ASSERT_TRUE(waiter.came());
  EXPECT_EQ(waiter.status, GH_E_IO);
}

TEST_F(Identity, LooksUpNoMoreUsersThanItHasPlacesFor) {
  std::promise<void> answer;
  auto held = answer.get_future().share();
  const auto slow = std::make_shared<UserNames>([held](uid_t) -> std::optional<std::string> {
    held.wait();
    return {};
  });
  Waiter waiter;
  const PluginIdentities face(slow, "udpgw");
  std::size_t pending = 0;
  for (std::size_t uid = 0; uid < 2 * UserNames::kMostWaiting; ++uid)
    pending += resolve(face, GH_CREDENTIAL_UNIX, std::to_string(uid), &waiter.completion) == GH_PENDING ? 1 : 0;
  EXPECT_EQ(pending, UserNames::kMostWaiting);
  EXPECT_EQ(resolve(face, GH_CREDENTIAL_UNIX, "4711", &waiter.completion), GH_E_LIMIT);
  answer.set_value();
}

TEST_F(Identity, OfATokenFollowsTheNewestPolicy) {
  EXPECT_EQ(asked(udpgw_, GH_CREDENTIAL_TOKEN, "secret"), "");
  publish({{1, "token", to_hex(sha256("secret")), "token:bob", {}, {}}});
  EXPECT_EQ(asked(udpgw_, GH_CREDENTIAL_TOKEN, "secret"), "token:bob");
  EXPECT_EQ(asked(udpgw_, GH_CREDENTIAL_TOKEN, "Secret"), "");
  EXPECT_EQ(asked(udpgw_, GH_CREDENTIAL_TOKEN, to_hex(sha256("secret"))), "") << "the row's value opens nothing";
  publish({});
  EXPECT_EQ(asked(udpgw_, GH_CREDENTIAL_TOKEN, "secret"), "");
}

/// With a limit of two wrong tokens a minute, but for whoever comes through the second listener: three.
class TokenIdentity : public Identity {
 protected:
  TokenIdentity() {
    for (const char* const name : {"127.0.0.1:1", "127.0.0.1:2"}) guard_.listeners_->add("udpgw", name);
    policy::Model model;
    model.groups = {{0, "everyone", 100, true}, {1, "second", 10, true}};
    model.group_members = {{1, 1, "listener", "127.0.0.1:2", {}}};
    model.credentials = {{1, "token", to_hex(sha256("secret")), "token:bob", {}, {}}};
    for (const std::int64_t group : {0, 1}) {
      policy::TrafficRule& rule = model.traffic_rules.emplace_back();
      rule.id = 40 + group;
      rule.group_id = group;
      rule.scope = "session";
      rule.token_failures_per_minute = 2 + group;
    }
    board_->publish(policy::compile(model, {}, 1, 1000).snapshot);
    policy_.table()->refresh(policy_.table()->context, &lane.head);
  }
  gh_status show(std::string_view token, const char* source, std::uint32_t listener = 0) {
    gh_client_facts client{sizeof(gh_client_facts), listener, {}, {}, 0};
    if (*source != 0) client.source = to_border(Endpoint{IpAddress::parse(source).value(), 1234, 0});
    std::size_t size = 0;
    const gh_identity& table = *face_.table();
    const gh_status status = table.resolve_token(table.context, &lane.head, to_border(token), &client, out_.data(),
                                                 out_.size(), &size, &wait_ns);
    identity.assign(out_.data(), status == GH_OK ? size : 0);
    return status;
  }

  struct Guard {
    std::shared_ptr<TokenFailures> failures_ = std::make_shared<TokenFailures>();
    std::shared_ptr<ListenerNames> listeners_ = std::make_shared<ListenerNames>();
    std::shared_ptr<Journal> journal_ = std::make_shared<Journal>(GH_LOG_TRACE, LogFormat::text);
  } guard_;
  std::uint64_t wait_ns = 0;
  PluginIdentities face_{users_, "udpgw", {guard_.failures_, guard_.listeners_, guard_.journal_}};
};

TEST_F(TokenIdentity, IsNotLookedForWhereTooManyWereNobodys) {
  EXPECT_EQ(show("secret", "192.0.2.7"), GH_OK);
  EXPECT_EQ(identity, "token:bob");
  EXPECT_EQ(show("wrong 1", "192.0.2.7"), GH_E_NOT_FOUND);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(show("secret", "192.0.2.7"), GH_OK) << "what is right costs nothing";
  EXPECT_EQ(show("wrong 2", "::ffff:192.0.2.7"), GH_E_NOT_FOUND);
  EXPECT_EQ(wait_ns, 0u);
  EXPECT_EQ(show("secret", "192.0.2.7"), GH_E_LIMIT);
  EXPECT_GT(wait_ns, 0u);
  EXPECT_LE(wait_ns, 30'000'000'000U);
  EXPECT_EQ(identity, "");
  EXPECT_EQ(show("secret", "192.0.2.8"), GH_OK);
}

TEST_F(TokenIdentity, IsLimitedByTheGroupOfThatListenersStrangers) {
  for (int i = 0; i < 3; ++i) EXPECT_EQ(show("wrong", "192.0.2.7", 1), GH_E_NOT_FOUND);
  EXPECT_EQ(show("wrong", "192.0.2.7", 1), GH_E_LIMIT);
}

TEST_F(TokenIdentity, OfAClientWithoutAnAddressIsNotLimited) {
  for (int i = 0; i < 9; ++i) EXPECT_EQ(show("wrong", ""), GH_E_NOT_FOUND);
  for (int i = 0; i < 9; ++i) EXPECT_EQ(show("wrong", "127.0.0.1"), GH_E_NOT_FOUND);
}

TEST_F(TokenIdentity, IsNotInTheLogWhichSaysOnceThatOneWaits) {
  testing::internal::CaptureStderr();
  for (int i = 0; i < 9; ++i) static_cast<void>(show("hunter2", "192.0.2.7"));
  guard_.journal_->flush();
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_THAT(log, testing::HasSubstr("plugin=udpgw listener=127.0.0.1:1 source=192.0.2.7 traffic_rules=40"));
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 1) << log;
  EXPECT_EQ(log.find("hunter2"), log.npos);
  EXPECT_EQ(log.find(to_hex(sha256("hunter2"))), log.npos);
}

TEST_F(Identity, OfCertificatesAndRelayKeys) {
  publish({{1, "cert", "bob.example", "cert:bob.example", {}, {}}, {2, "relay_key", "*", "relay:any", {}, {}}});
  EXPECT_EQ(asked(udpgw_, GH_CREDENTIAL_CERT, "bob.example"), "cert:bob.example");
  EXPECT_EQ(asked(udpgw_, GH_CREDENTIAL_CERT, "ann.example"), "");
  EXPECT_EQ(asked(udpgw_, GH_CREDENTIAL_RELAY_KEY, "00ff"), "relay:any");
  EXPECT_EQ(asked(udpgw_, 99, "bob.example"), "");
}

TEST_F(Identity, IsNotCutToASmallBuffer) {
  const gh_identity& table = *udpgw_.table();
  EXPECT_EQ(asked(udpgw_, GH_CREDENTIAL_UNIX, "0"), "unix:root");
  std::array<char, 3> out;
  std::size_t size = 0;
  EXPECT_EQ(table.resolve(table.context, &lane.head, GH_CREDENTIAL_UNIX, to_border("0"), out.data(), out.size(), &size,
                          nullptr),
            GH_E_LIMIT);
}

TEST(UserNamesTest, AreLookedUpAnewWhenTheyAreAMinuteOld) {
  const auto looks = std::make_shared<std::atomic<int>>(0);
  UserNames users([looks](uid_t) { return std::optional("bob" + std::to_string(++*looks)); });
  const auto who = std::make_shared<Requester>();
  Waiter waiter;
  const SteadyTime before = steady_now();
  ASSERT_EQ(users.find(7, who, &waiter.completion).status, GH_PENDING);
  ASSERT_TRUE(waiter.came());
  const SteadyTime after = steady_now();
  const auto name_at = [&](SteadyTime now) { return users.find(7, who, nullptr, now).name.value_or(""); };
  EXPECT_EQ(name_at(before + UserNames::kFresh - std::chrono::nanoseconds(1)), "bob1");
  EXPECT_EQ(*looks, 1) << "nobody has been asked again";
  EXPECT_EQ(name_at(after + UserNames::kFresh), "bob1") << "the old one is at hand";
  for (int i = 0; i < 5000 && name_at(before) != "bob2"; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_EQ(name_at(before), "bob2");
}

TEST(UserNamesTest, LeaveNoThreadBehind) {
  const auto alive = std::make_shared<int>(0);
  {
    const UserNames users([alive](uid_t) { return std::optional<std::string>(); });
    EXPECT_GT(alive.use_count(), 1);
  }
  for (int i = 0; i < 5000 && alive.use_count() > 1; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_EQ(alive.use_count(), 1);
}

}  // namespace
}  // namespace gatehouse
