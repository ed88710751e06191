#include "gateway/policy/snapshot_board.hpp"

#include "gateway/policy/judged_client.hpp"

#include <algorithm>
#include <cassert>

namespace gatehouse {

using policy::Snapshot;

namespace {

constexpr int kClientsAtOnce = 16;  // before lanes that open or close clients may go on

bool counts_destinations(const Snapshot& snapshot) noexcept {
  const auto& groups = snapshot.parts().groups;
  return std::any_of(groups.begin(), groups.end(), [](const policy::GroupPolicy& group) {
    return group.limits.session.destinations_per_minute.or_none() != 0 ||
           group.limits.identity.destinations_per_minute.or_none() != 0;
  });
}

}  // namespace

SnapshotBoard::SnapshotBoard(std::shared_ptr<const Snapshot> first)
    : generation_(first->generation()), newest_(first.get()), held_{std::move(first)} {}

void SnapshotBoard::publish(std::shared_ptr<const Snapshot> next) {
  assert(next->generation() > generation_.load());
  {
    const std::scoped_lock lock(mutex_);
    coming_ = next;
  }
  reserve_for_clients(*next);
  const std::scoped_lock lock(mutex_);
  newest_.store(next.get(), std::memory_order_release);
  generation_.store(next->generation(), std::memory_order_release);
  held_.push_back(std::move(coming_));
}

/// Clients that enter meanwhile see to themselves, by `coming_`.
void SnapshotBoard::reserve_for_clients(const Snapshot& snapshot) {
  if (!counts_destinations(snapshot)) return;
  for (std::uint64_t last = 0;;) {
    const std::scoped_lock lock(mutex_);
    auto client = clients_.upper_bound(last);
    for (int i = 0; i < kClientsAtOnce && client != clients_.end(); ++i, ++client) {
      client->second->reserve(snapshot);
      last = client->first;
    }
    if (client == clients_.end()) return;
  }
}

std::uint64_t SnapshotBoard::enter(JudgedClient& client) {
  const std::scoped_lock lock(mutex_);
  clients_.emplace_hint(clients_.end(), ++last_entry_, &client);
  for (const auto& snapshot : held_) client.reserve(*snapshot);
  if (coming_) client.reserve(*coming_);
  return last_entry_;
}

void SnapshotBoard::leave(std::uint64_t entry) noexcept {
  const std::scoped_lock lock(mutex_);
  clients_.erase(entry);
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
