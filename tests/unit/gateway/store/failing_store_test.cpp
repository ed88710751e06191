// The writer before a disk that fails, hangs, is slow or loses its file.
#include "tests/unit/gateway/store/store_writer_fixture.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <ctime>

namespace gatehouse {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using Clock = StoreWriter::Clock;

std::chrono::nanoseconds cpu_time() {
  timespec used{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

class FailingStore : public StoreWriterTest {
 protected:
  void TearDown() override { disk_->hang(false); }
  bool comes_to_fail() {
    return eventually([this] {
      writer_->watch();
      return writer_->status().failing;
    });
  }
};

TEST_F(FailingStore, CostsNoTimeThoughUpkeepIsDue) {
  disk_->want_upkeep_every(10ms);
  start();
  ASSERT_TRUE(eventually([&] { return disk_->upkeeps() > 2; }));
  disk_->fail_with(db::StoreError::Kind::io);
  open("home");
  ASSERT_TRUE(comes_to_fail());
  const auto before = cpu_time();
  std::this_thread::sleep_for(500ms);
  EXPECT_LT(cpu_time() - before, 100ms);
}

TEST_F(FailingStore, IsTriedOnceForAFlush) {
  start();
  disk_->fail_with(db::StoreError::Kind::io);
  open("home");
  ASSERT_TRUE(comes_to_fail());
  const int before = disk_->tries();
  EXPECT_FALSE(writer_->flush(Clock::now() + 50ms));
  for (int i = 0; i < 50; ++i) {
    open("key" + std::to_string(i));
    std::this_thread::sleep_for(2ms);
  }
  EXPECT_LE(disk_->tries() - before, 2) << "and once when its pause was over";
}

TEST_F(FailingStore, SetsARowAsideThatItCannotTakeAndWritesTheOthers) {
  start(OnStoreFailure::no_new);
  const gh_session old = open("old");
  ASSERT_TRUE(flush());
  disk_->refuse_session(old.id);
  Waiter good;
  open("good", "unix:bob", &good);
  EXPECT_EQ(lease("a", old.id), GH_OK);
  EXPECT_TRUE(flush());
  EXPECT_TRUE(good.came());
  EXPECT_EQ(good.status, GH_OK);
  EXPECT_TRUE(disk_->lease("relay", "a"));
  const StoreStatus status = writer_->status();
  EXPECT_FALSE(status.failing);
  EXPECT_EQ(status.dirty_rows, 0u);
  EXPECT_EQ(status.aside, 1u);
  EXPECT_THAT(status.last_aside,
              HasSubstr("the row of sessions with id " + std::to_string(old.id) + ": no such client"));
  EXPECT_THAT(logged(), HasSubstr(status.last_aside));
  disk_->refuse_session(0);
  EXPECT_TRUE(writer_->close(Clock::now() + 5s)) << "which tries again";
  EXPECT_TRUE(disk_->session(old.id)->last_seen_at > 0);
  EXPECT_EQ(writer_->status().aside, 0u);
}

TEST_F(FailingStore, AnswersWhoeverWaitsForARowThatItCannotTakeAsWhileItFails) {
  for (const auto& [on_failure, answer] :
       {std::pair(OnStoreFailure::serve, GH_OK), {OnStoreFailure::no_new, GH_E_IO}}) {
    start(on_failure);
    const std::uint64_t next = open("first").id + (std::uint64_t{1} << 24U) + 1;
    disk_->refuse_session(next);
    Waiter waiter, leased;
    EXPECT_EQ(open("bad", "unix:bob", &waiter).id, next);
    EXPECT_EQ(lease("a", next, &leased), GH_OK);
    EXPECT_TRUE(flush());
    EXPECT_TRUE(waiter.came());
    EXPECT_EQ(waiter.status, answer);
    EXPECT_TRUE(leased.came());
    EXPECT_EQ(leased.status, answer) << "a restart would not find the lease either";
    crash();
    disk_ = std::make_shared<FakeDisk>();
  }
}

TEST_F(FailingStore, LogsOneOfManyRowsThatItCannotTake) {
  start();
  const gh_session session = open("a");
  disk_->refuse_session(session.id);
  for (int i = 0; i < 20; ++i) {
    gh_session touched = session;
    touched.blob = to_border(std::string_view("x"));
    EXPECT_EQ(face().touch(face().context, &lane_.head, &touched, nullptr), GH_OK);
    EXPECT_TRUE(flush());
  }
  const std::string lines = logged();
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 1);
  EXPECT_EQ(writer_->status().aside, 1u);
}

TEST_F(FailingStore, ThatHangsIsToldOfAndStopsTheGateway) {
  start(OnStoreFailure::stop);
  disk_->hang(true);
  open("home");
  ASSERT_TRUE(comes_to_fail());
  EXPECT_THAT(logged(),
              HasSubstr("cannot write the store; going on from memory: a write to the store does not return"));
  EXPECT_EQ(stops_, 1);
  disk_->hang(false);
  EXPECT_TRUE(eventually([&] { return logged().find("written again") != std::string::npos; }));
  EXPECT_EQ(stops_, 1);
}

TEST_F(FailingStore, ThatHangsInItsUpkeepFailsToo) {
  disk_->want_upkeep_every(10ms);
  start();
  disk_->hang(true);
  ASSERT_TRUE(comes_to_fail());
  disk_->hang(false);
  EXPECT_TRUE(eventually([&] { return !writer_->status().failing; })) << "with nothing to write";
}

TEST_F(FailingStore, ThatHangsKnowsWhatPilesUp) {
  start();
  disk_->hang(true);
  open("home");
  EXPECT_TRUE(eventually([&] { return writer_->status().dirty_rows == 1; }));
  for (int i = 0; i < 10; ++i) open("key" + std::to_string(i));
  EXPECT_TRUE(eventually([&] { return writer_->status().dirty_rows == 11; }));
}

TEST_F(FailingStore, ThatHangsIsLeftToItselfAtTheEnd) {
  start();
  disk_->hang(true);
  open("home");
  const auto begin = Clock::now();
  EXPECT_FALSE(writer_->close(begin + 100ms));
  EXPECT_LT(Clock::now() - begin, StoreWriter::kLeastEnd + 1s);
  EXPECT_THAT(writer_->status().last_error, HasSubstr("does not return"));
  const std::string before = logged();
  writer_.reset();
  disk_->hang(false);
  EXPECT_TRUE(eventually([&] { return disk_.use_count() == 1; })) << "the thread ends when it can";
  EXPECT_EQ(logged(), before) << "and tells nobody";
}

TEST_F(FailingStore, ThatIsRemovedIsWrittenAnewThoughNothingChanges) {
  disk_->want_upkeep_every(10ms);
  start();
  const gh_session session = open("home");
  ASSERT_EQ(lease("10.0.0.5", session.id), GH_OK);
  ASSERT_TRUE(flush());
  disk_->lose_file();
  EXPECT_TRUE(eventually([&] { return disk_->lease("relay", "10.0.0.5").has_value(); }));
  EXPECT_TRUE(disk_->session(session.id).has_value());
}

TEST_F(FailingStore, TellsWhatItFindsWhileItRuns) {
  db::StoreOpening opening;
  opening.remarks = {"a remark of the opening"};
  start(OnStoreFailure::serve, opening);
  disk_->find("/s/state.db.corrupt-1", "state.db is an older copy");
  open("home");
  ASSERT_TRUE(flush());
  EXPECT_THAT(logged(), HasSubstr("/s/state.db.corrupt-1\n"));
  EXPECT_THAT(logged(), HasSubstr("state.db is an older copy\n"));
  EXPECT_THAT(logged(), testing::Not(HasSubstr("of the opening"))) << "which is told of by whoever opened it";
  EXPECT_THAT(writer_->opening().moved, ElementsAre("/s/state.db.corrupt-1"));
  EXPECT_THAT(writer_->opening().remarks, ElementsAre("a remark of the opening", "state.db is an older copy"));
}

TEST_F(FailingStore, TakesAnotherRetentionAtOnce) {
  disk_->want_upkeep_every(1h);
  start();
  ASSERT_TRUE(eventually([&] { return disk_->upkeeps() == 1; }));
  writer_->set_retention({3, 1000});
  EXPECT_TRUE(eventually([&] { return disk_->upkeeps() == 2; }));
  EXPECT_EQ(disk_->retention().days, 3);
  EXPECT_EQ(disk_->retention().most_bytes, 1000u);
}

/// Rows come faster than a slow disk takes them.
class BusyStore : public FailingStore {
 protected:
  void begin_load() {
    disk_->slow_down(2ms);
    disk_->want_upkeep_every(10ms);
    start(OnStoreFailure::serve, {}, 100ms);
    quiet_ = open("quiet");
    load_ = std::thread([this] {
      const gh_session busy = open("busy");
      for (int i = 0; !over_; ++i) lease("10.0." + std::to_string(i % 100) + ".1", busy.id);
    });
    ASSERT_TRUE(eventually([&] { return disk_->commits() > 10; }));
  }
  void TearDown() override {
    over_ = true;
    load_.join();
    FailingStore::TearDown();
  }

  std::atomic<bool> over_{false};
  std::thread load_;
  gh_session quiet_{};
};

TEST_F(BusyStore, CompletesAFlush) {
  begin_load();
  std::atomic_ref(quiet_.cells->bytes_up).store(7);
  ASSERT_TRUE(writer_->flush(Clock::now() + 2s));
  EXPECT_EQ(disk_->session(quiet_.id)->totals.bytes_up, 7u);
  EXPECT_FALSE(disk_->usage().empty());
}

TEST_F(BusyStore, HasItsRoundsAndItsUpkeep) {
  begin_load();
  const int upkeeps = disk_->upkeeps();
  std::atomic_ref(quiet_.cells->bytes_up).store(7);
  EXPECT_TRUE(eventually([&] { return disk_->session(quiet_.id)->totals.bytes_up == 7u; }));
  EXPECT_TRUE(eventually([&] { return disk_->upkeeps() >= upkeeps + 3; }));
}

TEST_F(BusyStore, LingersFourTimesAsLongAsTheLastCommitTook) {
  begin_load();
  const std::vector<FakeDisk::Times> times = disk_->commit_times();
  for (std::size_t i = 1; i < times.size(); ++i) {
    const Clock::duration last = times[i - 1].end - times[i - 1].begin, longest = StoreWriter::kLongestLinger;
    ASSERT_GE(times[i].begin - times[i - 1].end, std::min(4 * last, longest)) << i;
  }
}

}  // namespace
}  // namespace gatehouse
