// The daemon's store on real files: what a restart remembers, and what the control API says of it.
#include "gateway/daemon/daemon_store.hpp"

#include "db/file/clock_trust.hpp"
#include "db/sqlite.hpp"
#include "gateway/policy/calendar.hpp"
#include "gateway/services/sessions.hpp"
#include "policy/limits.hpp"
#include "tests/unit/db/scratch.hpp"
#include "tests/unit/gateway/config/config_folder.hpp"

#include <nlohmann/json.hpp>

#include <gmock/gmock.h>

#include <sys/stat.h>

#include <stdexcept>

namespace gatehouse {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::HasSubstr;
using testing::IsEmpty;

class DaemonStoreTest : public testing::Test {
 protected:
  void open() {
    StoreEvents events;
    events.log = [this](const LogMessage& message) { logged_ += message.text + "\n"; };
    store_.emplace(config_, std::move(events), is_synchronised_);
  }
  void close() {
    EXPECT_TRUE(store_->close(StoreWriter::Clock::now() + 5s));
    store_.reset();
  }
  /// A session that has carried something, as a lane makes it.
  std::uint64_t carry(const std::string& key, const std::string& identity, std::uint64_t bytes) {
    SessionTable::Opening what;
    what.plugin = "udpgw";
    what.key = key;
    what.identity = identity;
    what.now = now_;
    const auto opened = store_->sessions()->open(what, 0);
    EXPECT_EQ(opened.status, GH_OK);
    store_->sessions()->account(opened.id, "everyone", identity);
    std::atomic_ref(opened.cells->bytes_up).store(bytes, std::memory_order_relaxed);
    return opened.id;
  }
  json asked(std::string (DaemonStore::*body)(const std::string&), const std::string& question = "{}") {
    return json::parse(((*store_).*body)(question));
  }
  json sessions_asked(const std::string& question = "{}") {
    return json::parse(sessions_json(store_->sessions_shown(question)));
  }

  ConfigFolder folder_;
  StoreConfig config_{"sqlite:" + (folder_.path() / "new" / "state.db").string(), OnStoreFailure::serve, {}};
  const std::int64_t now_ = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::string logged_;
  db::SyncState is_synchronised_ = &db::clock_is_synchronised;
  std::optional<DaemonStore> store_;
};

TEST_F(DaemonStoreTest, MakesItsFilesForItselfAlone) {
  open();
  struct stat about {};
  ASSERT_EQ(stat((folder_.path() / "new").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777U, 0750U);
  ASSERT_EQ(stat(config_.state_db().c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777U, 0640U);
  ASSERT_EQ(stat((folder_.path() / "new" / "secrets.db").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777U, 0600U);
  EXPECT_THAT(logged_, HasSubstr("made " + config_.state_db().string()));
  EXPECT_THAT(store_reasons(store_->facts(), now_), IsEmpty());
}

TEST_F(DaemonStoreTest, RefusesAFileThatAnotherGatewayHas) {
  open();
  try {
    const DaemonStore second(config_, {});
    FAIL() << "two gateways write one file";
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr(std::to_string(getpid())));
  }
}

TEST_F(DaemonStoreTest, RemembersSessionsAndUsageAndSaysNothingAfterAnOrderlyEnd) {
  open();
  carry("bobs-laptop", "unix:bob", 1000);
  close();
  logged_.clear();
  open();
  EXPECT_EQ(logged_, "");
  const json sessions = sessions_asked();
  ASSERT_EQ(sessions["count"], 1);
  EXPECT_EQ(sessions["sessions"][0]["identity"], "unix:bob");
  EXPECT_EQ(sessions["sessions"][0]["bytes_up"], 1000);
  const json usage = asked(&DaemonStore::usage_body);
  EXPECT_EQ(usage["usage"][0]["identity"], "unix:bob");
  EXPECT_EQ(usage["bytes_up"], 1000);
}

TEST_F(DaemonStoreTest, WritesEverythingBeforeItTellsUsage) {
  open();
  carry("bobs-laptop", "unix:bob", 1000);
  EXPECT_EQ(asked(&DaemonStore::usage_body, R"({"by":"plugin"})")["usage"][0]["bytes_up"], 1000);
  carry("bobs-laptop", "unix:bob", 3000);
  EXPECT_EQ(asked(&DaemonStore::usage_body, R"({"by":"group"})")["usage"][0]["bytes_up"], 3000);
}

TEST_F(DaemonStoreTest, TellsEndedSessionsWhenAsked) {
  open();
  const std::uint64_t ended = carry("one", "unix:bob", 10);
  carry("two", "unix:bob", 20);
  EXPECT_EQ(store_->sessions()->end("udpgw", ended, now_ + 1), GH_OK);
  EXPECT_EQ(sessions_asked()["count"], 1);
  const json all = sessions_asked(R"({"ended":true,"most":0})");
  ASSERT_EQ(all["count"], 2);
  EXPECT_TRUE(all["sessions"][0]["ended_at"].is_null() != all["sessions"][1]["ended_at"].is_null());
}

TEST_F(DaemonStoreTest, TellsTheSessionsOfOnePluginWhenAsked) {
  open();
  const std::uint64_t ended = carry("one", "unix:bob", 10);
  carry("two", "unix:bob", 20);
  EXPECT_EQ(store_->sessions()->end("udpgw", ended, now_ + 1), GH_OK);
  EXPECT_EQ(sessions_asked(R"({"ended":true,"plugin":"udpgw"})")["count"], 2);
  EXPECT_EQ(sessions_asked(R"({"ended":true,"plugin":"udpgw","most":1})")["count"], 2);
  EXPECT_EQ(sessions_asked(R"({"ended":true,"plugin":"geneve-relay"})")["count"], 0);
}

TEST_F(DaemonStoreTest, EndsTheSessionsOfOneIdentity) {
  open();
  carry("one", "token:bob", 10);
  carry("two", "token:bob", 20);
  carry("three", "token:bobby", 30);
  EXPECT_EQ(asked(&DaemonStore::end_sessions_body, R"({"identity":"token:bob"})")["ended"], 2);
  ASSERT_EQ(sessions_asked()["count"], 1);
  EXPECT_EQ(sessions_asked()["sessions"][0]["identity"], "token:bobby");
  EXPECT_EQ(asked(&DaemonStore::end_sessions_body, R"({"identity":"token:bob"})")["ended"], 0);
  for (const char* const wrong : {"", "[]", "{}", R"({"identity":""})", R"({"identity":7})"})
    EXPECT_THROW(asked(&DaemonStore::end_sessions_body, wrong), std::invalid_argument) << wrong;
}

TEST_F(DaemonStoreTest, CountsEndedSessionsThatItDoesNotShow) {
  open();
  carry("live", "unix:bob", 1);
  for (int i = 0; i < 30; ++i) {
    const std::uint64_t id = carry("key" + std::to_string(i), "unix:bob", 10);
    EXPECT_EQ(store_->sessions()->end("udpgw", id, now_ + 1), GH_OK);
  }
  const json five = sessions_asked(R"({"ended":true,"most":5})");
  EXPECT_EQ(five["count"], 31);
  EXPECT_EQ(five["sessions"].size(), 5U);
  EXPECT_EQ(five["current"], true);
}

TEST_F(DaemonStoreTest, SaysWhereFiguresAreNotCurrent) {
  open();
  carry("one", "unix:bob", 600);
  EXPECT_EQ(asked(&DaemonStore::usage_body)["current"], true);
  db::Database shell(config_.state_db(), db::OpenMode::read_write, 0ms);
  shell.run("BEGIN IMMEDIATE");  // nothing can be written
  carry("one", "unix:bob", 900);
  const json usage = asked(&DaemonStore::usage_body);
  EXPECT_EQ(usage["current"], false);
  EXPECT_EQ(usage["bytes_up"], 600);
  EXPECT_EQ(sessions_asked(R"({"ended":true})")["current"], false);
  EXPECT_EQ(sessions_asked()["current"], true) << "live ones are in memory";
  shell.run("COMMIT");
}

TEST_F(DaemonStoreTest, TellsLeases) {
  open();
  const std::uint64_t id = carry("one", "unix:bob", 10);
  EXPECT_EQ(store_->sessions()->lease("udpgw", "vni:7", id, now_, 0, 0).status, GH_OK);
  const json leases = asked(&DaemonStore::leases_body);
  ASSERT_EQ(leases["count"], 1);
  EXPECT_EQ(leases["leases"][0]["resource"], "vni:7");
  EXPECT_EQ(leases["leases"][0]["identity"], "unix:bob");
}

TEST_F(DaemonStoreTest, RestoresQuotas) {
  open();
  carry("one", "unix:bob", 600);
  close();
  open();
  const auto meters = std::make_shared<KeyMeters>();
  store_->restore_quotas(*meters);
  policy::Limit limit;
  limit.value = 1000;
  for (const char* period : {"day", "month"}) {
    const policy::QuotaLimit quota(limit, period);
    EXPECT_EQ(meters->open("unix:bob", {})->quota.used(quota, Calendar().periods()), 600U) << period;
    EXPECT_EQ(meters->open("unix:eve", {})->quota.used(quota, Calendar().periods()), 0U) << period;
  }
}

TEST_F(DaemonStoreTest, RestoresQuotasWithTheHeadersOfEachPacket) {
  open();
  SessionTable::Opening what;
  what.plugin = "udpgw";
  what.key = "one";
  what.identity = "unix:bob";
  what.now = now_;
  const auto opened = store_->sessions()->open(what, 0);
  store_->sessions()->account(opened.id, "everyone", "unix:bob");
  std::atomic_ref(opened.cells->packets_up).store(100, std::memory_order_relaxed);  // empty datagrams
  std::atomic_ref(opened.cells->packets_down).store(10, std::memory_order_relaxed);
  close();
  open();
  const auto meters = std::make_shared<KeyMeters>();
  store_->restore_quotas(*meters);
  policy::Limit limit;
  limit.value = 1'000'000;
  const policy::QuotaLimit quota(limit, "day");
  EXPECT_EQ(meters->open("unix:bob", {})->quota.used(quota, Calendar().periods()), 110U * 28);
}

TEST_F(DaemonStoreTest, RestoresQuotasToTheDayThatTheyWereUsedIn) {
  is_synchronised_ = []() noexcept { return false; };
  open();
  carry("one", "unix:bob", 600);
  close();
  // As if the next start had a clock that is 400 days ahead.
  EXPECT_EQ(run_sqlite_shell(config_.state_db(),
                             "UPDATE usage SET day = day - 400; UPDATE sessions SET "
                             "last_seen_at = last_seen_at - 400 * 86400, created_at = created_at - "
                             "400 * 86400; UPDATE epoch SET seen_at = seen_at - 400 * 86400"),
            "");
  open();
  const auto meters = std::make_shared<KeyMeters>();
  store_->restore_quotas(*meters);
  policy::Limit limit;
  limit.value = 1000;
  const policy::Periods corrected = Calendar(std::chrono::system_clock::now() - std::chrono::days(400)).periods();
  for (const char* period : {"day", "month"}) {
    const policy::QuotaLimit quota(limit, period);
    EXPECT_EQ(meters->open("unix:bob", {})->quota.used(quota, Calendar().periods()), 0U) << period;
    EXPECT_EQ(meters->open("unix:bob", {})->quota.used(quota, corrected), 600U) << period;
  }
}

TEST_F(DaemonStoreTest, KeepsNothingInMemoryAlone) {
  config_.url = "memory:";
  open();
  carry("one", "unix:bob", 600);
  EXPECT_EQ(sessions_asked(R"({"ended":true})")["count"], 1);
  EXPECT_THROW(static_cast<void>(store_->usage_body("{}")), std::invalid_argument);
  close();
  open();
  EXPECT_EQ(sessions_asked()["count"], 0);
}

TEST_F(DaemonStoreTest, RefusesQuestionsThatMakeNoSense) {
  open();
  for (const char* wrong :
       {"[]", "3", R"({"most":"all"})", R"({"since":4})", R"({"by":"colour"})", R"({"since":"x"})"}) {
    EXPECT_THROW(static_cast<void>(store_->usage_body(wrong)), std::invalid_argument) << wrong;
  }
}

}  // namespace
}  // namespace gatehouse
