#include "gateway/policy/snapshot_board.hpp"

#include "gateway/policy/judged_client.hpp"

#include <algorithm>
#include <cassert>
#include <iterator>
#include <utility>

namespace gatehouse {

using policy::Snapshot;

namespace {

constexpr std::size_t kClientsAtOnce = 16;  // before lanes that open or close clients may go on

bool needs_memory(const PublishedPolicy& policy) noexcept {
  return std::ranges::any_of(policy.by_group, [](const PublishedPolicy::GroupLimits& limits) {
    return limits.session.any() || limits.identity.destinations_per_minute != 0;
  });
}

}  // namespace

PublishedPolicy::PublishedPolicy(std::shared_ptr<const Snapshot> of) : snapshot(std::move(of)) {
  for (const policy::GroupPolicy& group : snapshot->parts().groups)
    by_group.push_back({policy::MeterLimits(group.limits.session), policy::MeterLimits(group.limits.identity)});
}

SnapshotBoard::SnapshotBoard(std::shared_ptr<const Snapshot> first)
    : generation_(first->generation()),
      newest_(nullptr),
      held_{std::make_shared<const PublishedPolicy>(std::move(first))} {
  newest_ = held_.back().get();
}

template <class Work>
void SnapshotBoard::for_clients(Work work) noexcept {
  for (std::size_t next = 0;;) {
    const std::scoped_lock lock(mutex_);
    const std::size_t end = std::min(clients_.size(), next + kClientsAtOnce);
    for (; next < end; ++next)
      if (JudgedClient* const client = clients_[next].client()) work(*client);
    if (next == clients_.size()) return;
  }
}

void SnapshotBoard::publish(std::shared_ptr<const Snapshot> next) {
  assert(next->generation() > generation_.load());
  auto published = std::make_shared<const PublishedPolicy>(next);
  const PublishedPolicy& policy = *published;
  {
    const std::scoped_lock lock(mutex_);
    coming_ = std::move(published);
  }
  // Clients that enter meanwhile see to themselves, by `coming_`.
  if (needs_memory(policy)) for_clients([&](JudgedClient& client) { reserve(client, policy); });
  const std::scoped_lock lock(mutex_);
  held_.push_back(coming_);  // may throw: then nothing is published
  newest_.store(coming_.get());
  generation_.store(next->generation(), std::memory_order_release);
  coming_ = nullptr;
}

void SnapshotBoard::reserve(JudgedClient& client, const PublishedPolicy& policy) noexcept {
  if (!client.reserve(policy)) lacks_memory_ = true;
}

void SnapshotBoard::reserve_all(JudgedClient& client) noexcept {
  for (const auto& published : held_) reserve(client, *published);
  if (coming_) reserve(client, *coming_);
}

void SnapshotBoard::reserve_again() noexcept {
  {
    const std::scoped_lock lock(mutex_);
    if (!std::exchange(lacks_memory_, false)) return;
  }
  for_clients([this](JudgedClient& client) { reserve_all(client); });
}

std::uint32_t SnapshotBoard::enter(JudgedClient& client) {
  const std::scoped_lock lock(mutex_);
  if (first_free_ == kNone) {
    clients_.emplace_back(kNone);
    first_free_ = static_cast<std::uint32_t>(clients_.size() - 1);
  }
  const std::uint32_t entry = first_free_;
  first_free_ = clients_[entry].next_free();
  clients_[entry] = Place(client);
  reserve_all(client);
  return entry;
}

void SnapshotBoard::leave(std::uint32_t entry) noexcept {
  const std::scoped_lock lock(mutex_);
  clients_[entry] = Place(std::exchange(first_free_, entry));
}

void SnapshotBoard::end_sessions_of(const void* instance) noexcept {
  const std::scoped_lock lock(mutex_);
  for (const Place& place : clients_) {
    JudgedClient* const client = place.client();
    if (client != nullptr && client->instance() == instance) client->end_session();
  }
}

std::size_t SnapshotBoard::free_unused() {
  std::vector<std::shared_ptr<const PublishedPolicy>> unused;  // freed after the lock is gone
  const std::scoped_lock lock(mutex_);
  const auto is_used = [this, newest = newest_.load()](const std::shared_ptr<const PublishedPolicy>& one) {
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
  return held_.back()->snapshot;
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
  const PublishedPolicy* newest = board_->newest_.load();
  for (const PublishedPolicy* claimed = nullptr;
       claimed != newest;) {  // again if that one may have been freed in between
    claimed = newest;
    reads_.store(claimed);  // whatever this lane read of the old one is read
    newest = board_->newest_.load();
  }
  return generation_ = newest->snapshot->generation();
}

}  // namespace gatehouse
