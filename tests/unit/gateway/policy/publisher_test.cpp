// A running publisher against edits by the sqlite3 shell.
#include "gateway/policy/publisher.hpp"
#include "tests/unit/db/scratch.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <fstream>

namespace gatehouse {
namespace {

using namespace std::chrono_literals;
using policy::Flow;
using policy::Reason;
using policy::Verdict;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

class Publisher : public testing::Test {
 protected:
  std::unique_ptr<PolicyPublisher> start(PublisherParts parts = {}) {
    PolicyEvents events;
    events.published = [this](std::uint64_t generation) { published = generation; };
    events.log = [this](const LogMessage& message) {
      const std::scoped_lock lock(mutex);
      (message.is_warning ? warnings_ : infos_).push_back(message.text);
    };
    return std::make_unique<PolicyPublisher>(path, std::move(events), std::move(parts));
  }
  static Verdict judge(const PolicyPublisher& publisher, const char* to, std::uint16_t port, const char* name = "") {
    const auto snapshot = publisher.board()->current();
    return snapshot->judge(snapshot->standing_of({}, true),
                           Flow{IpAddress::parse(to).value(), port, policy::kUdp, 0, name});
  }
  template <class Condition>
  static bool soon(Condition condition) {
    for (int i = 0; i < 500; ++i, std::this_thread::sleep_for(10ms))
      if (condition()) return true;
    return false;
  }
  static bool says(const std::vector<std::string>& lines, std::string_view words) {
    return std::any_of(lines.begin(), lines.end(),
                       [words](const std::string& line) { return line.find(words) != std::string::npos; });
  }
  std::vector<std::string> warnings() {
    const std::scoped_lock lock(mutex);
    return warnings_;
  }
  std::vector<std::string> infos() {
    const std::scoped_lock lock(mutex);
    return infos_;
  }

  ScratchFolder folder;
  std::filesystem::path path = folder.path() / "policy.db";
  std::atomic<std::uint64_t> published{0};
  std::mutex mutex;
  std::vector<std::string> warnings_, infos_;
};

TEST_F(Publisher, MakesAMissingDatabaseWithTheStarterPolicy) {
  const auto publisher = start();
  EXPECT_TRUE(std::filesystem::exists(path));
  EXPECT_EQ(publisher->status().generation, 1u);
  EXPECT_TRUE(publisher->status().has_policy);
  EXPECT_TRUE(publisher->status().reasons.empty());
  EXPECT_TRUE(judge(*publisher, "8.8.8.8", 53).allowed());
  EXPECT_FALSE(judge(*publisher, "8.8.8.8", 445).allowed());
  EXPECT_THAT(infos(), Contains(HasSubstr("starter policy")));
  EXPECT_EQ(published, 0u);  // only later ones are told
}

TEST_F(Publisher, PutsAnEditInForceAndTakesItBack) {
  const auto publisher = start();
  ASSERT_TRUE(judge(*publisher, "8.8.8.8", 53, "a.test").allowed());
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_EQ(run_sqlite_shell(path, "INSERT INTO domain_rules(id, domain) VALUES(9, 'a.test')"), "");
  ASSERT_TRUE(soon([&] { return !judge(*publisher, "8.8.8.8", 53, "a.test").allowed(); }));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 1s);
  EXPECT_EQ(judge(*publisher, "8.8.8.8", 53, "a.test").row, 9);
  EXPECT_TRUE(soon([&] { return published == 2u; }));
  ASSERT_EQ(run_sqlite_shell(path, "DELETE FROM domain_rules"), "");
  EXPECT_TRUE(soon([&] { return judge(*publisher, "8.8.8.8", 53, "a.test").allowed(); }));
}

TEST_F(Publisher, NamesABadRowAndKeepsTheRest) {
  const auto publisher = start();
  ASSERT_EQ(run_sqlite_shell(path,
                             "INSERT INTO port_permits(id, ports, action) VALUES(77, 'dns', 'deny');"
                             "INSERT INTO domain_rules(domain) VALUES('b.test')"),
            "");
  ASSERT_TRUE(soon([&] { return !publisher->status().problems.empty(); }));
  const PolicyStatus status = publisher->status();
  EXPECT_EQ(status.problems[0].row, 77);
  EXPECT_THAT(status.reasons, Contains(HasSubstr("1 deny or block rows")));
  EXPECT_EQ(judge(*publisher, "8.8.8.8", 53, "b.test").reason, Reason::domain);
  EXPECT_TRUE(soon([&] { return says(warnings(), "port_permits row 77"); }));
  ASSERT_EQ(run_sqlite_shell(path, "DELETE FROM port_permits WHERE id = 77"), "");
  EXPECT_TRUE(soon([&] { return publisher->status().reasons.empty(); }));
}

TEST_F(Publisher, TakesTimeInProportionToRowsThatCannotBeRead) {
  db::prepare_policy(path);
  ASSERT_EQ(run_sqlite_shell(path,
                             "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40000) "
                             "INSERT INTO port_permits(ports) SELECT 'x' FROM n"),
            "");
  auto begin = std::chrono::steady_clock::now();
  const auto publisher = start();
  ASSERT_EQ(publisher->status().problems.size(), 40'000u);
  const auto first = std::chrono::steady_clock::now() - begin;
  begin += first;
  ASSERT_EQ(run_sqlite_shell(path, "INSERT INTO domain_rules(domain) VALUES('a.test')"), "");
  ASSERT_TRUE(soon([&] { return publisher->status().generation == 2; }));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 2 * first + 2s) << "most of it until the edit is noticed";
}

TEST_F(Publisher, DeniesEverythingUntilTheDatabaseCanBeRead) {
  std::ofstream(path) << std::string(5000, 'x');
  const auto publisher = start();
  EXPECT_FALSE(publisher->status().has_policy);
  EXPECT_EQ(publisher->status().generation, 1u);
  EXPECT_EQ(judge(*publisher, "8.8.8.8", 53).reason, Reason::no_policy);
  EXPECT_THAT(publisher->status().reasons, Contains(HasSubstr("everything is denied")));
  EXPECT_TRUE(soon([&] { return says(warnings(), "policy.db"); }));
  const auto fresh = folder.path() / "fresh.db";
  db::prepare_policy(fresh);
  std::filesystem::rename(fresh, path);
  EXPECT_TRUE(soon([&] { return judge(*publisher, "8.8.8.8", 53).allowed(); }));
  EXPECT_TRUE(soon([&] { return publisher->status().has_policy; }));
  EXPECT_TRUE(publisher->status().reasons.empty());
}

TEST_F(Publisher, LivesOnWhenNothingCanBeCompiledAndTriesAgain) {
  std::atomic<bool> fails{false};
  PublisherParts parts;
  parts.unix_now = [&]() -> std::int64_t { return fails ? throw std::bad_alloc() : std::int64_t{1000}; };
  const auto publisher = start(parts);
  fails = true;
  ASSERT_EQ(run_sqlite_shell(path, "INSERT INTO domain_rules(id, domain) VALUES(9, 'a.test')"), "");
  ASSERT_TRUE(soon([&] { return !publisher->status().reasons.empty(); }));
  EXPECT_THAT(publisher->status().reasons, Contains(HasSubstr("edits cannot be put in force: std::bad_alloc")));
  EXPECT_TRUE(soon([&] { return says(warnings(), "what is in force stays"); }));
  EXPECT_EQ(warnings().size(), 1u);
  EXPECT_TRUE(judge(*publisher, "8.8.8.8", 53, "a.test").allowed());
  EXPECT_EQ(publisher->status().generation, 1u);
  fails = false;
  EXPECT_TRUE(soon([&] { return !judge(*publisher, "8.8.8.8", 53, "a.test").allowed(); }));
  EXPECT_TRUE(soon([&] { return publisher->status().reasons.empty(); }));
  EXPECT_TRUE(soon([&] { return published == 2u; }));
}

TEST_F(Publisher, KeepsTheLastGoodPolicyWithoutTheFile) {
  const auto publisher = start();
  std::filesystem::rename(path, folder.path() / "away.db");
  ASSERT_TRUE(soon([&] { return !publisher->status().reasons.empty(); }));
  EXPECT_THAT(publisher->status().reasons, Contains(HasSubstr("last good policy")));
  EXPECT_TRUE(judge(*publisher, "8.8.8.8", 53).allowed());
  EXPECT_TRUE(publisher->status().has_policy);
  std::filesystem::rename(folder.path() / "away.db", path);
  EXPECT_TRUE(soon([&] { return publisher->status().reasons.empty(); }));
}

TEST_F(Publisher, CompilesAgainWhenARowExpires) {
  db::prepare_policy(path);
  ASSERT_EQ(run_sqlite_shell(path, "INSERT INTO domain_rules(domain, expires_at) VALUES('a.test', unixepoch() + 2)"),
            "");
  const auto publisher = start();
  ASSERT_FALSE(judge(*publisher, "8.8.8.8", 53, "a.test").allowed());
  EXPECT_TRUE(soon([&] { return judge(*publisher, "8.8.8.8", 53, "a.test").allowed(); }));
}

TEST_F(Publisher, ObeysAClockThatIsSetForwardAndBack) {
  db::prepare_policy(path);
  ASSERT_EQ(run_sqlite_shell(path,
                             "INSERT INTO domain_rules(domain, expires_at) VALUES('a.test', 2000), ('past.test', 900);"
                             "INSERT INTO domain_rules(domain, enabled) VALUES('off.test', 0)"),
            "");
  const auto now = std::make_shared<std::atomic<std::int64_t>>(1000);
  const auto publisher = start({{}, [now] { return now->load(); }});
  EXPECT_FALSE(judge(*publisher, "8.8.8.8", 53, "a.test").allowed());
  EXPECT_TRUE(judge(*publisher, "8.8.8.8", 53, "past.test").allowed());
  EXPECT_TRUE(judge(*publisher, "8.8.8.8", 53, "off.test").allowed());
  *now = 1999;
  std::this_thread::sleep_for(2 * PolicyPublisher::kPoll);
  EXPECT_FALSE(judge(*publisher, "8.8.8.8", 53, "a.test").allowed());
  *now = 2000;
  EXPECT_TRUE(soon([&] { return judge(*publisher, "8.8.8.8", 53, "a.test").allowed(); }));
  *now = 800;
  EXPECT_TRUE(soon([&] { return !judge(*publisher, "8.8.8.8", 53, "a.test").allowed(); }));
  EXPECT_FALSE(judge(*publisher, "8.8.8.8", 53, "past.test").allowed());
}

TEST_F(Publisher, KeepsClientsFromTheGatewaysOwnPlaces) {
  const auto publisher = start();
  EXPECT_EQ(judge(*publisher, "127.0.0.1", 7300).reason, Reason::local);
  publisher->set_listeners({{{IpAddress::parse("127.0.0.1").value(), 7300, 0}, policy::kUdp}});
  EXPECT_EQ(judge(*publisher, "127.0.0.1", 7300).reason, Reason::hard_deny);
  EXPECT_EQ(judge(*publisher, "127.0.0.1", 7301).reason, Reason::local);
  EXPECT_EQ(published, 2u);
  for (const Prefix& own : read_own_addresses().own) {
    const Reason wanted = own.address().is_link_local() ? Reason::hard_deny : Reason::local;
    EXPECT_EQ(judge(*publisher, own.address().to_string().c_str(), 1).reason, wanted) << own.to_string();
  }
}

TEST_F(Publisher, UnwrapsTheNetworksOwnNat64Prefixes) {
  const auto publisher = start();
  const auto reason = [&] { return judge(*publisher, "2001:4860:64::10.1.2.3", 53).reason; };
  EXPECT_EQ(reason(), Reason::port_permit) << "a public address";
  publisher->set_nat64_prefixes({Prefix::parse("2001:4860:64::/96").value()});
  EXPECT_EQ(reason(), Reason::bogon) << "10.1.2.3";
  EXPECT_EQ(published, 2u);
  publisher->set_nat64_prefixes({Prefix::parse("2001:4860:64::/96").value()});
  EXPECT_EQ(published, 2u) << "nothing new";
  publisher->set_nat64_prefixes({});
  EXPECT_EQ(reason(), Reason::port_permit);
}

TEST_F(Publisher, PutsClaimsInForceAndFreesThemAgain) {
  const auto publisher = start();
  const auto reached = [&](const char* plugin) {
    const auto snapshot = publisher->board()->current();
    policy::ClientFacts client;
    client.plugin = plugin;
    const policy::Flow flow{IpAddress::parse("8.8.8.8").value(), 53, policy::kUdp, 0, {}};
    return snapshot->judge(snapshot->standing_of(client, false), flow).reason;
  };
  int tunnel = 0, successor = 0;
  ASSERT_NE(reached("udpgw"), Reason::hard_deny);
  publisher->claims()->set(&tunnel, "packet-tunnel", {Prefix::parse("8.8.0.0/16").value()});
  EXPECT_TRUE(soon([&] { return reached("udpgw") == Reason::hard_deny; }));
  EXPECT_NE(reached("packet-tunnel"), Reason::hard_deny);
  EXPECT_TRUE(soon([&] { return published == 2u; }));
  publisher->claims()->set(&successor, "packet-tunnel", {Prefix::parse("8.8.0.0/16").value()});  // a replacement
  publisher->claims()->drop(&tunnel);
  std::this_thread::sleep_for(2 * PolicyPublisher::kPoll);
  EXPECT_EQ(reached("udpgw"), Reason::hard_deny);
  EXPECT_EQ(published, 2u) << "the same claims are no news";
  publisher->claims()->drop(&successor);
  EXPECT_TRUE(soon([&] { return reached("udpgw") != Reason::hard_deny; }));
}

TEST_F(Publisher, DoesNotPublishWhatDidNotChange) {
  const auto publisher = start();
  EXPECT_EQ(run_sqlite_shell(path, "INSERT INTO changes(table_name, row_id) VALUES('x', 1)"), "");
  std::this_thread::sleep_for(3 * PolicyPublisher::kPoll);
  EXPECT_EQ(publisher->status().generation, 1u);
}

class Lists : public Publisher {
 protected:
  /// One name a file: the file's own.
  PublisherParts parts() {
    return {[this](const std::filesystem::path& file) {
              while (held) std::this_thread::sleep_for(1ms);
              OpenedList out;
              out.for_each = [name = file.filename().string()](const OpenedList::Visitor& visit) {
                visit(name, policy::ListEntry::listed);
              };
              out.find = [](std::string_view) { return policy::ListEntry::none; };
              return out;
            },
            {}};
  }
  std::atomic<bool> held{false};
};

TEST_F(Lists, AreInForceWithTheFirstGeneration) {
  db::prepare_policy(path);
  ASSERT_EQ(run_sqlite_shell(path, "INSERT INTO domain_lists(id, name, file) VALUES(4, 'ads', 'ads.test')"), "");
  const auto publisher = start(parts());
  EXPECT_EQ(publisher->status().generation, 1u);
  const Verdict verdict = judge(*publisher, "8.8.8.8", 53, "www.ads.test");
  EXPECT_EQ(verdict.reason, Reason::domain);
  EXPECT_EQ(verdict.row, 4);
  ASSERT_EQ(publisher->status().lists.size(), 1u);
  EXPECT_EQ(publisher->status().lists[0].names, 1u);
}

TEST_F(Lists, LetRowEditsThroughWhileTheyAreCompiled) {
  const auto publisher = start(parts());
  held = true;
  ASSERT_EQ(run_sqlite_shell(path, "INSERT INTO domain_lists(id, name, file) VALUES(4, 'ads', 'ads.test')"), "");
  ASSERT_TRUE(soon([&] { return !publisher->status().notes.empty(); }));
  EXPECT_TRUE(publisher->status().reasons.empty());
  EXPECT_TRUE(publisher->status().problems.empty());
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_EQ(run_sqlite_shell(path, "INSERT INTO domain_rules(domain) VALUES('a.test')"), "");
  EXPECT_TRUE(soon([&] { return !judge(*publisher, "8.8.8.8", 53, "a.test").allowed(); }));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 1s);
  EXPECT_TRUE(judge(*publisher, "8.8.8.8", 53, "ads.test").allowed());
  held = false;
  EXPECT_TRUE(soon([&] { return !judge(*publisher, "8.8.8.8", 53, "ads.test").allowed(); }));
  EXPECT_TRUE(soon([&] { return publisher->status().notes.empty(); }));
}

TEST_F(Lists, LookUpEachHitInTheFile) {
  db::prepare_policy(path);
  ASSERT_EQ(run_sqlite_shell(path, "INSERT INTO domain_lists(id, name, file) VALUES(4, 'ads', 'ads.test')"), "");
  const auto publisher = start(parts());
  const auto lane = publisher->records()->open("udpgw");
  const Flow flow{IpAddress::parse("8.8.8.8").value(), 53, policy::kUdp, 0, "www.ads.test"};
  lane->tell(judge(*publisher, "8.8.8.8", 53, "www.ads.test"), {}, flow, {});
  EXPECT_TRUE(soon([&] { return publisher->status().list_mismatches == 1; }));
  EXPECT_TRUE(soon([&] { return publisher->status().generation > 1u; })) << "the name is taken out";
}

TEST(OwnAddresses, HaveLoopbackAndNoRepetition) {
  const OwnAddresses set = read_own_addresses();
  EXPECT_THAT(set.own, Contains(Prefix(IpAddress::v4(0x7f000001), 32)));
  EXPECT_THAT(set.own, Contains(Prefix(IpAddress::v4(0x7f000000), 8))) << "as the kernel's table `local` has it";
  EXPECT_TRUE(std::is_sorted(set.own.begin(), set.own.end()));
  EXPECT_EQ(std::adjacent_find(set.own.begin(), set.own.end()), set.own.end());
  OwnAddressWatch watch;
  EXPECT_FALSE(watch.drain(set));
}

}  // namespace
}  // namespace gatehouse
