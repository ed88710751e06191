#include "gateway/policy/snapshot_board.hpp"

#include <gtest/gtest.h>

#include <thread>

namespace gatehouse {
namespace {

using policy::Snapshot;

TEST(SnapshotBoard, HoldsASnapshotUntilEveryViewHasLeftIt) {
  auto board = std::make_shared<SnapshotBoard>(Snapshot::without_policy(1));
  SnapshotView quick(board), slow(board);
  std::weak_ptr<const Snapshot> first = board->current();
  board->publish(Snapshot::without_policy(2));
  EXPECT_EQ(quick.refresh(), 2u);
  EXPECT_EQ(quick.snapshot().generation(), 2u);
  EXPECT_EQ(slow.snapshot().generation(), 1u);
  EXPECT_EQ(board->free_unused(), 2u);
  EXPECT_FALSE(first.expired());
  EXPECT_EQ(slow.refresh(), 2u);
  EXPECT_EQ(board->free_unused(), 1u);
  EXPECT_TRUE(first.expired());
}

TEST(SnapshotBoard, FreesWhatAClosedViewHeld) {
  auto board = std::make_shared<SnapshotBoard>(Snapshot::without_policy(1));
  {
    const SnapshotView view(board);
    board->publish(Snapshot::without_policy(2));
    EXPECT_EQ(board->free_unused(), 2u);
  }
  EXPECT_EQ(board->free_unused(), 1u);
  EXPECT_EQ(SnapshotView(board).snapshot().generation(), 2u);
}

TEST(SnapshotBoard, KeepsOneSnapshotForAViewThatNeverMovesOn) {
  auto board = std::make_shared<SnapshotBoard>(Snapshot::without_policy(1));
  SnapshotView hanging(board), moving(board);
  for (std::uint64_t generation = 2; generation < 10; ++generation) {
    board->publish(Snapshot::without_policy(generation));
    EXPECT_EQ(moving.refresh(), generation);
    EXPECT_EQ(board->free_unused(), 2u);
  }
  EXPECT_EQ(hanging.snapshot().generation(), 1u);
}

TEST(SnapshotBoard, OutlivesItsOwnerForAViewThatIsLeft) {
  auto board = std::make_shared<SnapshotBoard>(Snapshot::without_policy(1));
  const SnapshotView view(board);
  board.reset();
  EXPECT_EQ(view.snapshot().generation(), 1u);
}

TEST(SnapshotBoard, GivesManyReadersWholeSnapshotsInOrder) {
  auto board = std::make_shared<SnapshotBoard>(Snapshot::without_policy(1));
  constexpr std::uint64_t kLast = 2000;
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i)
    readers.emplace_back([board] {
      SnapshotView view(board);
      std::uint64_t before = 0;
      while (before < kLast) {
        const std::uint64_t now = view.refresh();
        ASSERT_GE(now, before);
        ASSERT_EQ(view.snapshot().generation(), now);
        ASSERT_EQ(view.snapshot().judge({policy::GroupIndex{0}, false}, {}).generation, now);
        before = now;
      }
    });
  for (std::uint64_t generation = 2; generation <= kLast; ++generation) {
    board->publish(Snapshot::without_policy(generation));
    board->free_unused();
  }
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(board->free_unused(), 1u);
}

}  // namespace
}  // namespace gatehouse
