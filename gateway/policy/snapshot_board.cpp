#include "gateway/policy/snapshot_board.hpp"

#include <algorithm>
#include <cassert>

namespace gatehouse {

using policy::Snapshot;

SnapshotBoard::SnapshotBoard(std::shared_ptr<const Snapshot> first)
    : generation_(first->generation()), newest_(first.get()), held_{std::move(first)} {}

void SnapshotBoard::publish(std::shared_ptr<const Snapshot> next) {
  const std::scoped_lock lock(mutex_);
  assert(next->generation() > generation_.load());
  newest_.store(next.get(), std::memory_order_release);
  generation_.store(next->generation(), std::memory_order_release);
  held_.push_back(std::move(next));
}

std::size_t SnapshotBoard::free_unused() {
  std::vector<std::shared_ptr<const Snapshot>> unused;  // freed after the lock is gone
  const std::scoped_lock lock(mutex_);
  std::uint64_t oldest = held_.back()->generation();
  for (const SnapshotView* view : views_) oldest = std::min(oldest, view->seen_.load(std::memory_order_acquire));
  while (held_.front()->generation() < oldest) {
    unused.push_back(std::move(held_.front()));
    held_.pop_front();
  }
  return held_.size();
}

std::shared_ptr<const Snapshot> SnapshotBoard::current() const {
  const std::scoped_lock lock(mutex_);
  return held_.back();
}

SnapshotView::SnapshotView(std::shared_ptr<SnapshotBoard> board) : board_(std::move(board)) {
  const std::scoped_lock lock(board_->mutex_);
  snapshot_ = board_->held_.back().get();
  seen_.store(snapshot_->generation(), std::memory_order_relaxed);
  board_->views_.push_back(this);
}

SnapshotView::~SnapshotView() {
  const std::scoped_lock lock(board_->mutex_);
  std::erase(board_->views_, this);
}

std::uint64_t SnapshotView::move_on() noexcept {
  snapshot_ = board_->newest_.load(std::memory_order_acquire);
  const std::uint64_t generation = snapshot_->generation();
  seen_.store(generation, std::memory_order_release);  // whatever this lane read of the old one is read
  return generation;
}

}  // namespace gatehouse
