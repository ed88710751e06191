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

}  // namespace
}  // namespace gatehouse
