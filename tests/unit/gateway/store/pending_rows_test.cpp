// What is marked is what was there: that it is written means that a flush is done, whatever has come since.
#include "gateway/store/pending_rows.hpp"
#include "gateway/store/usage_ledger.hpp"

#include <gtest/gtest.h>

namespace gatehouse {
namespace {

db::LeaseRecord lease(const std::string& resource) { return {{"relay", resource}, 1, 0, 0}; }

TEST(PendingRows, KnowsWhatIsLeftOfTheMarkedOnes) {
  PendingRows rows;
  rows.put(lease("a"), {});
  rows.put(lease("b"), {});
  EXPECT_EQ(rows.marked(), 0u);
  rows.mark();
  rows.put(lease("c"), {});
  rows.put(lease("a"), {});  // a newer version, behind the others
  EXPECT_EQ(rows.marked(), 2u);
  static_cast<void>(rows.remove_first(2));
  EXPECT_EQ(rows.marked(), 1u) << "b and c were first";
  static_cast<void>(rows.remove_first(1));
  EXPECT_EQ(rows.marked(), 0u);
  rows.put(lease("a"), {});
  EXPECT_EQ(rows.marked(), 0u) << "it came later";
}

TEST(UsageLedger, WritesMarkedRowsFirst) {
  UsageLedger usage;
  usage.add({1, "relay", "token:bob", "kids"}, {1, 0, 1, 0});
  usage.mark();
  usage.add({1, "relay", "token:ann", "kids"}, {2, 0, 1, 0});
  usage.add({1, "relay", "token:bob", "kids"}, {3, 0, 1, 0});
  EXPECT_EQ(usage.changed(), 2u);
  EXPECT_EQ(usage.marked(), 1u);
  db::StoreBatch batch;
  usage.fill(batch, 1);
  ASSERT_EQ(batch.usage.size(), 1u);
  EXPECT_EQ(batch.usage[0].key.identity, "token:bob");
  EXPECT_EQ(batch.usage[0].totals.bytes_up, 4u);
  usage.written(batch);
  EXPECT_EQ(usage.changed(), 1u);
  EXPECT_EQ(usage.marked(), 0u);
}

db::SessionRecord session(std::uint64_t id, std::string key, bool ended) {
  db::SessionRecord out{};
  out.id = id;
  out.plugin = "relay";
  out.key = std::move(key);
  if (ended) out.ended_at = 1000;
  return out;
}

TEST(PendingRows, CountsOnlyEndedSessionsThatAreNotWrittenYet) {
  PendingRows rows;
  rows.put(session(1, "", true), {});
  rows.put(session(2, "", true), {});
  rows.put(session(2, "", true), {});  // a newer version
  static_cast<void>(rows.set_aside({std::uint64_t{1}, "no"}));
  static_cast<void>(rows.remove_first(1));
  for (std::uint64_t id = 3; id < PendingRows::kMostEnded + 2; ++id) rows.put(session(id, "", true), {});
  EXPECT_EQ(rows.forgotten(), 0u);
  EXPECT_EQ(rows.aside(), 1u);
  rows.put(session(PendingRows::kMostEnded + 2, "", true), {});
  EXPECT_EQ(rows.forgotten(), 1u);
  EXPECT_EQ(rows.aside(), 0u) << "it was the oldest";
  EXPECT_EQ(rows.size(), PendingRows::kMostEnded);
}

TEST(PendingRows, KnowsWhatShouldNotWait) {
  PendingRows rows;
  EXPECT_FALSE(rows.since());
  rows.put(session(1, "", true), {});
  EXPECT_FALSE(rows.is_urgent()) << "nobody can resume it";
  EXPECT_TRUE(rows.since());
  static_cast<void>(rows.remove_first(1));
  EXPECT_FALSE(rows.is_urgent());
  rows.put(session(1, "", true), {5});
  EXPECT_TRUE(rows.is_urgent()) << "somebody waits";
  rows.put(session(1, "", true), {6});
  EXPECT_EQ(rows.remove_first(1), (std::vector<Durability::Ticket>{5, 6}));
  EXPECT_FALSE(rows.is_urgent());
  rows.put(session(2, "home", false), {});
  rows.put(lease("a"), {});
  EXPECT_TRUE(rows.is_urgent());
  static_cast<void>(rows.remove_first(1));
  EXPECT_TRUE(rows.is_urgent());
  static_cast<void>(rows.remove_first(1));
  EXPECT_FALSE(rows.is_urgent());
  EXPECT_EQ(rows.size(), 0u);
}

TEST(PendingRows, AreWrittenInOrderEachAsItsKind) {
  PendingRows rows;
  rows.put(session(1, "home", false), {});
  rows.put(lease("a"), {});
  rows.put(db::LeaseRecord{{"relay", "b"}, 0, 0, 0}, {});
  rows.put(db::ValueRecord{{"relay", "key"}, false, std::nullopt, false}, {});
  const db::StoreBatch all = rows.first(10);
  EXPECT_EQ(all.sessions.size(), 1u);
  ASSERT_EQ(all.leases.size(), 1u);
  EXPECT_EQ(all.leases[0].key.resource, "a");
  ASSERT_EQ(all.released.size(), 1u);
  EXPECT_EQ(all.released[0].resource, "b");
  EXPECT_EQ(all.values.size(), 1u);
  EXPECT_EQ(rows.first(3).rows(), 3u);
  EXPECT_EQ(rows.size(), 4u) << "until they are removed";
  EXPECT_TRUE(rows.remove_first(9).empty());
  EXPECT_EQ(rows.size(), 0u);
}

TEST(PendingRows, GivesUpTheOldestOfThoseThatNobodyAsksFor) {
  PendingRows rows;
  for (std::uint64_t id = 1; id <= PendingRows::kMostEnded; ++id) rows.put(session(id, "", true), {});
  rows.put(session(1'000'000, "home", true), {});
  rows.put(session(1'000'001, "", false), {});
  rows.mark();
  EXPECT_EQ(rows.forgotten(), 0u);
  EXPECT_EQ(rows.size(), PendingRows::kMostEnded + 2);
  rows.put(session(1'000'002, "", true), {});
  EXPECT_EQ(rows.forgotten(), 1u);
  EXPECT_EQ(rows.marked(), PendingRows::kMostEnded + 1);
  EXPECT_EQ(rows.first(1).sessions.at(0).id, 2u);
  static_cast<void>(rows.remove_first(1));
  rows.put(session(1'000'003, "", true), {});
  EXPECT_EQ(rows.forgotten(), 1u) << "there was a place again";
  rows.put(session(1'000'004, "", true), {});
  EXPECT_EQ(rows.forgotten(), 2u);
}

TEST(PendingRows, GivesUpEndedSessionsWithAKeyThatTheStoreHasNeverSeen) {
  PendingRows rows;
  rows.put(session(1, "known", true), {});         // the store has it as live
  rows.put(session(2, "tried", false), {}, true);  // it may have
  rows.doubt_first(2);
  rows.put(session(2, "tried", true), {});
  rows.put(session(3, "new", false), {3}, true);
  rows.put(session(3, "new", true), {});
  for (std::uint64_t id = 4; id < PendingRows::kMostEnded + 3; ++id) rows.put(session(id, "new", true), {}, true);
  EXPECT_EQ(rows.forgotten(), 0u);
  EXPECT_EQ(rows.put(session(1'000'000, "new", true), {}, true), std::vector<Durability::Ticket>{3});
  EXPECT_EQ(rows.forgotten(), 1u);
  const auto left = rows.first(3).sessions;
  ASSERT_EQ(left.size(), 3u);
  EXPECT_EQ(left[0].id, 1u);
  EXPECT_EQ(left[1].id, 2u);
  EXPECT_EQ(left[2].id, 4u);
}

TEST(PendingRows, GivesUpEndedSessionsWithAKeyThatTheStoreRefuses) {
  PendingRows rows;
  for (std::uint64_t id = 1; id <= PendingRows::kMostEnded + 9; ++id) {
    rows.put(session(id, "new", false), {}, true);
    EXPECT_TRUE(rows.set_aside({id, "no"}).empty());
    rows.put(session(id, "new", true), {});
    EXPECT_TRUE(rows.set_aside({id, "no"}).empty());
  }
  EXPECT_EQ(rows.aside(), PendingRows::kMostEnded);
  EXPECT_EQ(rows.forgotten(), 9u);
}

TEST(UsageLedger, ForgetsRowsOfDaysThatAreOverAndThatTheStoreRefuses) {
  UsageLedger usage;
  const db::UsageKey key{1, "relay", "token:bob", ""};
  usage.add(key, {1, 0, 1, 0});
  usage.set_aside(key);
  usage.forget_before(2);
  EXPECT_EQ(usage.aside(), 0u);
  usage.change_all();
  EXPECT_EQ(usage.changed(), 0u);
}

TEST(UsageLedger, AddsUpEachFigure) {
  UsageLedger usage;
  const db::UsageKey key{1, "relay", "token:bob", "kids"};
  usage.load({{key, {1, 2, 3, 4}}});
  EXPECT_EQ(usage.changed(), 0u);
  usage.add(key, {});
  EXPECT_EQ(usage.changed(), 0u) << "nothing was carried";
  usage.add(key, {10, 20, 30, 40});
  db::StoreBatch batch;
  usage.fill(batch, 9);
  ASSERT_EQ(batch.usage.size(), 1u);
  EXPECT_EQ(batch.usage[0].totals, (db::TrafficTotals{11, 22, 33, 44}));
  usage.written(batch);
  EXPECT_EQ(usage.changed(), 0u);
  usage.change_all();
  EXPECT_EQ(usage.changed(), 1u);
  usage.mark();
  usage.change_all();
  EXPECT_EQ(usage.changed(), 1u) << "each is in one place";
}

TEST(UsageLedger, ForgetsDaysThatAreOverAndWritten) {
  UsageLedger usage;
  for (std::int64_t day = 1; day <= 4; ++day) usage.load({{{day, "relay", "token:bob", ""}, {1, 0, 1, 0}}});
  usage.add({2, "relay", "token:bob", ""}, {1, 0, 1, 0});
  usage.forget_before(4);
  usage.change_all();
  EXPECT_EQ(usage.changed(), 3u) << "2 is to be written, and 3 came after it";
  db::StoreBatch batch;
  usage.fill(batch, 9);
  usage.written(batch);
  usage.mark();
  usage.forget_before(4);
  usage.change_all();
  EXPECT_EQ(usage.changed(), 1u);
}

TEST(UsageLedger, AccountsForTooManyWithoutAName) {
  UsageLedger usage;
  for (std::size_t i = 0; i < UsageLedger::kMostKeys; ++i)
    usage.add({1, "relay", "token:" + std::to_string(i), "kids"}, {1, 0, 1, 0});
  usage.add({1, "relay", "token:7", "kids"}, {1, 0, 1, 0});
  EXPECT_EQ(usage.changed(), UsageLedger::kMostKeys);
  usage.add({1, "relay", "token:late", "kids"}, {5, 0, 1, 0});
  usage.add({1, "relay", "token:later", "kids"}, {5, 0, 1, 0});
  usage.add({2, "relay", "token:late", "kids"}, {1, 0, 1, 0});
  EXPECT_EQ(usage.changed(), UsageLedger::kMostKeys + 2);
  db::StoreBatch batch;
  usage.fill(batch, 1);
  ASSERT_EQ(batch.usage.size(), 1u);
  EXPECT_EQ(batch.usage[0].key.identity, "") << "the first in order";
  EXPECT_EQ(batch.usage[0].totals.bytes_up, 10u);
}

}  // namespace
}  // namespace gatehouse
