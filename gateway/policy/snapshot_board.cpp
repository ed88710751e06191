#include "gateway/policy/snapshot_board.hpp"

#include "gateway/policy/judged_client.hpp"

#include <algorithm>
#include <cassert>
#include <iterator>

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
  newest_.store(next.get());
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

void SnapshotBoard::end_sessions_of(const void* instance) noexcept {
  const std::scoped_lock lock(mutex_);
  for (const auto& [entry, client] : clients_) {
    if (client->instance() == instance) client->end_session();
  }
}

std::size_t SnapshotBoard::free_unused() {
  std::vector<std::shared_ptr<const Snapshot>> unused;  // freed after the lock is gone
  const std::scoped_lock lock(mutex_);
  const auto is_used = [this, newest = newest_.load()](const std::shared_ptr<const Snapshot>& one) {
    const auto reads = [&one](const SnapshotView* view) { return view->reads_.load() == one.get(); };
    return one.get() == newest || std::any_of(views_.begin(), views_.end(), reads);
  };
  const auto first = std::stable_partition(held_.begin(), held_.end(), is_used);
  unused.assign(std::make_move_iterator(first), std::make_move_iterator(held_.end()));
  held_.erase(first, held_.end());
  return held_.size();
}

std::shared_ptr<const Snapshot> SnapshotBoard::current() const {
  const std::scoped_lock lock(mutex_);
  return held_.back();
}

SnapshotView::SnapshotView(std::shared_ptr<SnapshotBoard> board) : board_(std::move(board)) {
  const std::scoped_lock lock(board_->mutex_);
  reads_.store(board_->held_.back().get());
  generation_ = snapshot().generation();
  board_->views_.push_back(this);
}

SnapshotView::~SnapshotView() {
  const std::scoped_lock lock(board_->mutex_);
  std::erase(board_->views_, this);
}

std::uint64_t SnapshotView::move_on() noexcept {
  const Snapshot* newest = board_->newest_.load();
  for (const Snapshot* claimed = nullptr; claimed != newest;) {  // again if that one may have been freed in between
    claimed = newest;
    reads_.store(claimed);  // whatever this lane read of the old one is read
    newest = board_->newest_.load();
  }
  return generation_ = newest->generation();
}

}  // namespace gatehouse
