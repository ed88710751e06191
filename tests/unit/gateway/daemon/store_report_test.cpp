#include "gateway/daemon/store_report.hpp"

#include "gateway/base/openmetrics.hpp"
#include "tests/unit/gateway/base/log_message_matchers.hpp"

#include <nlohmann/json.hpp>

#include <gmock/gmock.h>

namespace gatehouse {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

constexpr std::int64_t kNow = 1'795'271'400;  // 2026-11-21T14:30:00Z

StoreFacts facts() {
  StoreFacts out;
  out.config.url = "sqlite:/s/state.db";
  return out;
}

TEST(StoreReport, HasNoReasonsWhenAllIsWell) {
  StoreFacts well = facts();
  well.status.last_error = "database is locked";  // once, and it is over
  well.status.failures = 1;
  well.opening.clean = false;
  well.opening.from_version = 1;
  well.opening.backup = "/s/state.db.v1";
  EXPECT_THAT(store_reasons(well, kNow), IsEmpty());
}

TEST(StoreReport, SaysWhatAFailureComesTo) {
  StoreFacts ill = facts();
  ill.status.failing = true;
  ill.status.last_error = "/s/state.db: the disk is full";
  ill.status.dirty_rows = 7;
  ill.status.lag = std::chrono::seconds(90);
  EXPECT_THAT(store_reasons(ill, kNow),
              ElementsAre("store: /s/state.db: the disk is full; 7 rows wait since 90 s; new sessions and leases are "
                          "served from memory, and a crash would forget them"));
  ill.config.on_failure = OnStoreFailure::no_new;
  EXPECT_THAT(store_reasons(ill, kNow), ElementsAre(HasSubstr("new sessions and leases are refused")));
  ill.config.on_failure = OnStoreFailure::stop;
  EXPECT_THAT(store_reasons(ill, kNow), ElementsAre(HasSubstr("the gateway stops")));
}

TEST(StoreReport, NamesRowsThatAreSetAsideAndRowsThatAreTooMany) {
  StoreFacts ill = facts();
  ill.status.aside = 2;
  ill.status.last_aside = "set aside, for the store cannot take it: the row of sessions with id 7: no";
  ill.status.excess = "live sessions alone fill 9 bytes";
  EXPECT_THAT(store_reasons(ill, kNow),
              ElementsAre("store: 2 rows are not written, and a restart would forget them; the last one set aside, for "
                          "the store cannot take it: the row of sessions with id 7: no",
                          "store: live sessions alone fill 9 bytes"));
  EXPECT_EQ(store_json(ill)["set_aside"], 2);
}

TEST(StoreReport, IsDegradedAfterAnOpeningThatLostSomething) {
  StoreFacts after = facts();
  after.opening.moved = {"/s/state.db.corrupt-1", "/s/state.db-wal.corrupt-1"};
  after.opening.unsure_until = kNow + 1;
  after.opening.remarks = {"state.epoch was missing"};
  EXPECT_THAT(store_reasons(after, kNow),
              ElementsAre(AllOf(StartsWith("store: the store was broken and began anew; "),
                                HasSubstr("/s/state.db.corrupt-1, /s/state.db-wal.corrupt-1")),
                          AllOf(HasSubstr("lost commits"), HasSubstr("is given to nobody until 2026-11-21T14:30:01Z")),
                          "store: state.epoch was missing"));
  EXPECT_THAT(store_reasons(after, kNow + 1), testing::SizeIs(2));
}

TEST(StoreReport, LogsWhatWasNotOrdinaryAboutTheOpening) {
  const StoreConfig config = facts().config;
  db::StoreOpening opening;
  EXPECT_THAT(opening_messages(config, opening), IsEmpty());
  opening.created = true;
  EXPECT_THAT(opening_messages(config, opening), ElementsAre(log_info("made /s/state.db")));
  opening = {};
  opening.clean = false;
  EXPECT_THAT(opening_messages(config, opening), ElementsAre(log_info(HasSubstr("did not end in an orderly way"))));
  opening.unsure_until = kNow;
  EXPECT_THAT(opening_messages(config, opening), ElementsAre(log_warning(HasSubstr("lost commits"))));
  opening = {};
  opening.from_version = 3;
  opening.backup = "/s/state.db.v3";
  EXPECT_THAT(opening_messages(config, opening),
              ElementsAre(log_info("/s/state.db was migrated from schema version 3; it was copied to /s/state.db.v3 "
                                   "before")));
  opening = {};
  opening.created = true;
  opening.moved = {"/s/state.db.corrupt-1"};
  opening.remarks = {"so and so"};
  EXPECT_THAT(opening_messages(config, opening),
              ElementsAre(log_warning(HasSubstr("is kept as /s/state.db.corrupt-1")), log_warning("so and so")));
}

TEST(StoreReport, ShowsStatusInNumbers) {
  StoreFacts at = facts();
  at.status.failing = true;
  at.status.lag = std::chrono::seconds(12);
  at.status.dirty_rows = 34;
  at.status.served_undurable = 5;
  at.status.unsure_until = kNow;
  const auto body = store_json(at);
  EXPECT_EQ(body["url"], "sqlite:/s/state.db");
  EXPECT_EQ(body["failing"], true);
  EXPECT_EQ(body["on_store_failure"], "serve");
  EXPECT_EQ(body["lag_seconds"], 12);
  EXPECT_EQ(body["dirty_rows"], 34);
  EXPECT_EQ(body["served_undurable"], 5);
  EXPECT_EQ(body["unsure_until"], "2026-11-21T14:30:00Z");
  EXPECT_TRUE(store_json(facts())["unsure_until"].is_null());
}

TEST(StoreReport, TellsMetrics) {
  StoreStatus status;
  status.failing = true;
  status.lag = std::chrono::seconds(12);
  status.dirty_rows = 34;
  status.commits = 56;
  status.rows = 78;
  status.failures = 9;
  OpenMetrics out;
  write_store_metrics(status, out);
  EXPECT_THAT(out.text(),
              AllOf(HasSubstr("\ngatehouse_store_failing 1\n"), HasSubstr("\ngatehouse_store_lag_seconds 12\n"),
                    HasSubstr("\ngatehouse_store_dirty_rows 34\n"), HasSubstr("\ngatehouse_store_commits_total 56\n"),
                    HasSubstr("\ngatehouse_store_rows_total 78\n"), HasSubstr("\ngatehouse_store_failures_total 9\n")));
}

}  // namespace
}  // namespace gatehouse
