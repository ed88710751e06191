#include "gateway/store/pending_rows.hpp"
#include "tests/unit/gateway/store/store_writer_fixture.hpp"

#include <gatehouse/plugin/border.hpp>

#include <gmock/gmock.h>

#include <ctime>
#include <thread>

namespace gatehouse {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using Clock = StoreWriter::Clock;

TEST_F(StoreWriterTest, CompletesWhenTheRowIsThere) {
  start();
  Waiter opened, leased;
  const gh_session session = open("home", "unix:bob", &opened);
  ASSERT_EQ(lease("10.0.0.5", session.id, &leased), GH_OK);
  ASSERT_TRUE(leased.came());
  EXPECT_EQ(leased.status, GH_OK);
  EXPECT_EQ(disk_->lease("relay", "10.0.0.5")->session, session.id);
  EXPECT_TRUE(opened.came());
  EXPECT_EQ(disk_->session(session.id)->identity, "unix:bob");
}

TEST_F(StoreWriterTest, WritesNoLeaseBeforeItsSession) {
  start(OnStoreFailure::no_new);
  const gh_session former = open("former");
  ASSERT_EQ(lease("10.0.0.5", former.id), GH_OK);
  ASSERT_TRUE(flush());
  disk_->hang(true);
  open("first");
  ASSERT_TRUE(eventually([&] { return writer_->sessions()->durability()->changes().size() == 0; }));
  for (std::size_t i = 1; i < StoreWriter::kMostRows; ++i) open("key" + std::to_string(i));
  ASSERT_EQ(release("10.0.0.5", former.id), GH_OK);  // the last row of the next commit, by the time when it changed
  Waiter leased;
  ASSERT_EQ(lease("10.0.0.5", open("latter").id, &leased), GH_OK);
  disk_->hang(false);
  ASSERT_TRUE(leased.came());
  EXPECT_EQ(leased.status, GH_OK) << "the disk refuses leases of sessions that it does not know";
}

TEST_F(StoreWriterTest, ResumesAfterACrash) {
  start();
  Waiter leased;
  gh_session first = open("home");
  ASSERT_EQ(lease("10.0.0.5", first.id, &leased), GH_OK);
  ASSERT_TRUE(leased.came());
  crash();
  start();
  const gh_session again = open("home");
  EXPECT_EQ(again.id, first.id);
  EXPECT_EQ(again.resumed, 1u);
  EXPECT_EQ(lease("10.0.0.5", open("other").id), GH_E_EXISTS);
  EXPECT_EQ(lease("10.0.0.5", again.id), GH_OK);
  EXPECT_NE(open("third").id, first.id);
}

TEST_F(StoreWriterTest, WritesCountersAndUsageWithTheRound) {
  start();
  const gh_session session = open("home");
  writer_->sessions()->account(session.id, "kids", "unix:bob");
  std::atomic_ref(session.cells->bytes_up).store(1000);
  std::atomic_ref(session.cells->packets_up).store(2);
  std::atomic_ref(session.cells->bytes_down).store(50);
  ASSERT_TRUE(flush());
  EXPECT_EQ(disk_->session(session.id)->totals.bytes_up, 1000u);
  EXPECT_EQ(disk_->session(session.id)->group_name, "kids");
  std::atomic_ref(session.cells->bytes_up).store(1500);
  face().end(face().context, &lane_.head, session.id);
  ASSERT_TRUE(flush());
  const auto usage = disk_->usage();
  ASSERT_EQ(usage.size(), 1u);
  const auto& [key, totals] = *usage.begin();
  EXPECT_EQ(key.identity, "unix:bob");
  EXPECT_EQ(key.group_name, "kids");
  EXPECT_EQ(totals, (db::TrafficTotals{1500, 50, 2, 0}));
  EXPECT_TRUE(disk_->session(session.id)->ended_at.has_value());
}

TEST_F(StoreWriterTest, SessionsThatNobodyResumesWaitForOthers) {
  start();
  const gh_session stream = open("");
  std::atomic_ref(stream.cells->packets_up).store(1);
  face().end(face().context, &lane_.head, stream.id);
  EXPECT_TRUE(eventually([&] { return writer_->status().dirty_rows == 2; })) << "the session and its usage";
  std::this_thread::sleep_for(50ms);
  EXPECT_EQ(disk_->commits(), 0);
  Waiter opened;
  open("home", "unix:bob", &opened);
  ASSERT_TRUE(opened.came());
  EXPECT_TRUE(disk_->session(stream.id).has_value());
  EXPECT_EQ(disk_->usage().size(), 1u);
}

TEST_F(StoreWriterTest, ASessionThatLeftNothingBehindLeavesNoRow) {
  start();
  const gh_session refused = open("");
  face().end(face().context, &lane_.head, refused.id);
  const gh_session idle = open("");
  ASSERT_TRUE(flush());
  EXPECT_FALSE(disk_->session(refused.id).has_value());
  ASSERT_TRUE(disk_->session(idle.id).has_value());
  face().end(face().context, &lane_.head, idle.id);
  ASSERT_TRUE(flush());
  EXPECT_TRUE(disk_->session(idle.id)->ended_at.has_value()) << "what was written once is seen through";
}

TEST_F(StoreWriterTest, AddsToTheUsageOfBeforeTheRestart) {
  start();
  gh_session session = open("home");
  std::atomic_ref(session.cells->bytes_up).store(700);
  ASSERT_TRUE(flush());
  crash();
  start();
  ASSERT_EQ(writer_->remembered_usage().size(), 1u);
  session = open("home");
  EXPECT_EQ(session.cells->bytes_up, 700u);
  std::atomic_ref(session.cells->bytes_up).store(800);
  ASSERT_TRUE(flush());
  EXPECT_EQ(disk_->usage().begin()->second.bytes_up, 800u);
}

TEST_F(StoreWriterTest, ServesFromMemoryWhileTheDiskFails) {
  start();
  disk_->fail_with(db::StoreError::Kind::full);
  Waiter first, second;
  const gh_session session = open("home", "unix:bob", &first);
  ASSERT_TRUE(first.came());
  EXPECT_EQ(first.status, GH_OK);
  ASSERT_EQ(lease("10.0.0.5", session.id, &second), GH_OK);
  EXPECT_EQ(second.calls, 1);  // at once
  const StoreStatus status = writer_->status();
  EXPECT_TRUE(status.failing);
  EXPECT_EQ(status.served_undurable, 2u);
  EXPECT_EQ(status.last_error, "the disk is not well");
  EXPECT_THAT(logged(), HasSubstr("going on from memory"));

  disk_->fail_with(std::nullopt);
  EXPECT_TRUE(eventually([&] { return disk_->lease("relay", "10.0.0.5").has_value(); }));
  EXPECT_TRUE(eventually([&] { return !writer_->status().failing; }));
}

TEST_F(StoreWriterTest, RefusesWhatIsNewWhileTheDiskFails) {
  start(OnStoreFailure::no_new);
  const gh_session old = open("home");
  ASSERT_EQ(lease("10.0.0.5", old.id), GH_OK);
  ASSERT_TRUE(flush());
  disk_->fail_with(db::StoreError::Kind::io);
  Waiter waiter;
  ASSERT_EQ(lease("10.0.0.6", old.id, &waiter), GH_OK);  // nobody knows yet
  ASSERT_TRUE(waiter.came());
  EXPECT_EQ(waiter.status, GH_E_IO);
  EXPECT_EQ(lease("10.0.0.7", old.id), GH_E_IO);
  EXPECT_EQ(lease("10.0.0.5", old.id), GH_OK);  // a renewal goes on
  EXPECT_EQ(open("home").resumed, 1u);
  gh_session fresh{};
  fresh.struct_size = sizeof fresh;
  fresh.key = to_border("new");
  fresh.identity = to_border("unix:eve");
  EXPECT_EQ(face().open(face().context, &lane_.head, &fresh, nullptr), GH_E_IO);
  EXPECT_EQ(writer_->status().refused, 2u);
}

TEST_F(StoreWriterTest, AsksForAStopOnce) {
  start(OnStoreFailure::stop);
  disk_->fail_with(db::StoreError::Kind::read_only);
  open("home");
  EXPECT_TRUE(eventually([&] { return stops_ == 1; }));
  EXPECT_TRUE(eventually([&] { return writer_->status().failures >= 2; }));
  EXPECT_EQ(stops_, 1);
}

TEST_F(StoreWriterTest, WaitsForAnOutsideLock) {
  start();
  disk_->fail_with(db::StoreError::Kind::busy);
  Waiter waiter;
  open("home", "unix:bob", &waiter);
  EXPECT_FALSE(waiter.came(300ms));
  EXPECT_FALSE(writer_->status().failing);
  disk_->fail_with(std::nullopt);
  EXPECT_TRUE(waiter.came());
}

TEST_F(StoreWriterTest, NoticesAWriteThatDoesNotReturn) {
  start();
  disk_->hang(true);
  Waiter waiter;
  open("home", "unix:bob", &waiter);
  EXPECT_FALSE(waiter.came(200ms));
  EXPECT_TRUE(eventually([&] {
    writer_->watch();
    return waiter.calls == 1;
  }));
  EXPECT_THAT(writer_->status().last_error, HasSubstr("does not return"));
  Waiter next;
  open("next", "unix:bob", &next);
  EXPECT_EQ(next.calls, 1);
  disk_->hang(false);
  EXPECT_TRUE(eventually([&] { return !writer_->status().failing && disk_->sessions() == 2; }));
}

TEST_F(StoreWriterTest, TellsANewFileEverything) {
  start();
  const gh_session session = open("home");
  ASSERT_EQ(lease("10.0.0.5", session.id), GH_OK);
  std::atomic_ref(session.cells->bytes_up).store(10);
  ASSERT_TRUE(flush());
  disk_->lose_file();
  open("other");
  ASSERT_TRUE(flush());
  EXPECT_TRUE(disk_->session(session.id).has_value());
  EXPECT_TRUE(disk_->lease("relay", "10.0.0.5").has_value());
  EXPECT_EQ(disk_->usage().size(), 1u);
  EXPECT_EQ(disk_->sessions(), 2u);
}

TEST_F(StoreWriterTest, GivesUpEndedRowsThatNobodyAsksForAndKeepsTheirUsage) {
  start();
  disk_->fail_with(db::StoreError::Kind::io);
  constexpr std::uint64_t kMore = 1000;
  for (std::uint64_t i = 0; i < PendingRows::kMostEnded + kMore; ++i) {
    const gh_session session = open("");
    std::atomic_ref(session.cells->bytes_up).store(1);
    face().end(face().context, &lane_.head, session.id);
  }
  EXPECT_TRUE(eventually([&] { return writer_->status().forgotten == kMore; }));
  disk_->fail_with(std::nullopt);
  ASSERT_TRUE(flush());
  EXPECT_EQ(disk_->sessions(), PendingRows::kMostEnded);
  EXPECT_EQ(disk_->usage().begin()->second.bytes_up, PendingRows::kMostEnded + kMore);
}

TEST_F(StoreWriterTest, CallsNobodyWhoseInstanceIsGone) {
  start();
  disk_->hang(true);
  Waiter waiter;
  open("home", "unix:bob", &waiter);
  face_->let_go();
  disk_->hang(false);
  EXPECT_TRUE(eventually([&] { return disk_->sessions() == 1; }));
  EXPECT_EQ(waiter.calls, 0);
}

TEST_F(StoreWriterTest, SetsNumbersAsideThatNeverComeAgain) {
  start();
  const gh_values& values = *values_->table();
  std::uint64_t first = 0;
  Waiter waiter;
  ASSERT_EQ(values.reserve(values.context, to_border("lamport"), 100, &first, &waiter.completion), GH_OK);
  EXPECT_EQ(first, 1u);
  ASSERT_TRUE(waiter.came());
  crash();
  start();
  ASSERT_EQ(values_->table()->reserve(values_->table()->context, to_border("lamport"), 5, &first, nullptr), GH_OK);
  EXPECT_EQ(first, 101u);
}

TEST_F(StoreWriterTest, ShowsALeaseUnderWhoeverHoldsItOnce) {
  start();
  const std::uint64_t past = static_cast<std::uint64_t>(unix_now()) - 1;
  const gh_session first = open("first"), second = open("second");
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(lease("10.0.0.5", first.id, nullptr, past), GH_OK);
    writer_->sessions()->leases().expire(writer_->sessions()->reading(unix_now()));  // the round
  }
  EXPECT_EQ(lease("10.0.0.6", first.id, nullptr, past), GH_OK);
  EXPECT_EQ(lease("10.0.0.6", second.id), GH_OK) << "taken over before the round";
  EXPECT_EQ(lease("10.0.0.5", first.id), GH_OK);
  for (const LiveSession& row : writer_->sessions()->rows())
    EXPECT_THAT(row.leases, testing::ElementsAre(row.record.id == first.id ? "10.0.0.5" : "10.0.0.6"));
}

TEST_F(StoreWriterTest, CountsALeaseThatIsTakenAgainOnce) {
  start();
  const gh_session session = open("home");
  for (int i = 0; i < 5000; ++i) {
    ASSERT_EQ(lease("10.0.0.5", session.id, nullptr, static_cast<std::uint64_t>(unix_now()) - 1), GH_OK);
    writer_->sessions()->leases().expire(writer_->sessions()->reading(unix_now()));
  }
  for (std::size_t i = 1; i < SessionTable::kMostLeases; ++i)
    ASSERT_EQ(lease("vni:" + std::to_string(i), session.id), GH_OK);
  EXPECT_EQ(lease("10.0.0.5", session.id), GH_OK);
  EXPECT_EQ(lease("vni:0", session.id), GH_E_LIMIT);
}

TEST_F(StoreWriterTest, WritesASessionBeforeItsLease) {
  start();
  Waiter leased;
  const gh_session session = open("");  // one that waits for the round otherwise
  EXPECT_EQ(lease("10.0.0.5", session.id, &leased), GH_OK);
  ASSERT_TRUE(leased.came());
  EXPECT_TRUE(disk_->session(session.id).has_value());
}

TEST_F(StoreWriterTest, LeapsOverNumbersThatItMayHaveForgotten) {
  const auto reserve = [this](const char* name) {
    std::uint64_t first = 0;
    EXPECT_EQ(values_->table()->reserve(values_->table()->context, to_border(name), 10, &first, nullptr), GH_OK);
    return first;
  };
  start();
  EXPECT_EQ(reserve("old"), 1U);
  ASSERT_TRUE(flush());
  crash();
  db::StoreOpening opening;
  opening.unsure_until = unix_now() + 60;
  start(OnStoreFailure::serve, opening);
  EXPECT_EQ(reserve("old"), 11 + ValueTable::kLeap);
  EXPECT_EQ(reserve("old"), 21 + ValueTable::kLeap) << "once";
  EXPECT_EQ(reserve("gone"), 1 + ValueTable::kLeap);
}

/// After an opening that found commits missing.
class UnsureStore : public StoreWriterTest, public testing::WithParamInterface<OnStoreFailure> {};
INSTANTIATE_TEST_SUITE_P(Under, UnsureStore,
                         testing::Values(OnStoreFailure::serve, OnStoreFailure::no_new, OnStoreFailure::stop),
                         [](const auto& test) { return std::string(to_text(test.param)); });

TEST_P(UnsureStore, GivesNobodyWhatItDoesNotKnow) {
  db::StoreOpening opening;
  opening.unsure_until = unix_now() + 60;
  start(GetParam(), opening);
  EXPECT_EQ(lease("10.0.0.5", open("home").id), GH_E_IN_DOUBT);
}

TEST_P(UnsureStore, GivesWhatItHasKnownSinceItsStart) {
  start();
  const gh_session home = open("home");
  EXPECT_EQ(lease("10.0.0.5", home.id), GH_OK);
  ASSERT_TRUE(flush());
  crash();
  db::StoreOpening opening;
  opening.unsure_until = unix_now() + 60;
  start(GetParam(), opening);
  for (const char* const key : {"home", "other", "home"}) {
    const gh_session session = open(key);
    EXPECT_EQ(lease("10.0.0.5", session.id), GH_OK) << key;
    ASSERT_TRUE(flush());
    EXPECT_EQ(release("10.0.0.5", session.id), GH_OK);
    ASSERT_TRUE(flush()) << "the row is gone";
  }
  writer_->sessions()->leases().expire(writer_->sessions()->reading(opening.unsure_until - 1));
  EXPECT_EQ(lease("10.0.0.6", home.id), GH_E_IN_DOUBT);
  writer_->sessions()->leases().expire(writer_->sessions()->reading(opening.unsure_until));
  EXPECT_EQ(lease("10.0.0.6", home.id), GH_OK) << "the doubt is over";
  EXPECT_EQ(lease("10.0.0.5", home.id), GH_OK);
}

TEST_F(StoreWriterTest, GroupsWhatComesTogether) {
  start();
  for (int i = 0; i < 1000; ++i) open("key" + std::to_string(i));
  ASSERT_TRUE(flush());
  EXPECT_EQ(disk_->sessions(), 1000u);
  EXPECT_LT(disk_->commits(), 500);
}

TEST_F(StoreWriterTest, CostsNoTimeWhileNothingHappens) {
  start();
  open("home");
  ASSERT_TRUE(flush());
  const auto used = [] {
    timespec time{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
  };
  const auto before = used();
  std::this_thread::sleep_for(200ms);
  EXPECT_LT(used() - before, 40ms);
}

}  // namespace
}  // namespace gatehouse
