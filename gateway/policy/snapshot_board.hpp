// Publishes the newest policy snapshot: who still reads which, and the clients whose meters it needs; and the calendar
// that its quotas go by. Publishing takes a lock; reading takes none.
#pragma once

#include "gateway/policy/calendar.hpp"
#include "policy/limiter.hpp"
#include "policy/snapshot.hpp"

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

namespace gatehouse {

class JudgedClient;
class SnapshotView;

/// A snapshot, with its limits in the form that meters take: made once, for all clients of a group.
struct PublishedPolicy {
  struct GroupLimits {
    policy::MeterLimits session, identity;
  };
  explicit PublishedPolicy(std::shared_ptr<const policy::Snapshot> of);
  [[nodiscard]] const GroupLimits& limits(policy::GroupIndex group) const noexcept {
    return by_group[static_cast<std::size_t>(group)];
  }

  const std::shared_ptr<const policy::Snapshot> snapshot;
  std::vector<GroupLimits> by_group;
};

/// Thread-safe. Lives as long as the last view of it: both share it.
class SnapshotBoard {
 public:
  explicit SnapshotBoard(std::shared_ptr<const policy::Snapshot> first);
  SnapshotBoard(const SnapshotBoard&) = delete;
  SnapshotBoard& operator=(const SnapshotBoard&) = delete;

  /// Reserves the memory that each client needs under `next`, and then publishes it. One thread at a time.
  /// @param next  has a higher generation than all before
  void publish(std::shared_ptr<const policy::Snapshot> next);
  /// Frees, on the calling thread, each snapshot that no view reads any more: a view that never moves on again, of a
  /// lane that hangs, keeps one. @return how many are still held
  std::size_t free_unused();
  /// Tries again for clients whose session got no meters for want of memory. Locks.
  void reserve_again() noexcept;

  /// Reserves for each snapshot that a lane may meet, and from now on for each before it is published. Locks and
  /// allocates. @return for leave()
  [[nodiscard]] std::uint32_t enter(JudgedClient& client);
  /// Locks.
  void leave(std::uint32_t entry) noexcept;
  /// Of an instance that was abandoned: its clients do not count among anybody's concurrent sessions any more. Locks.
  void end_sessions_of(const void* instance) noexcept;

  /// For control threads; locks.
  [[nodiscard]] std::shared_ptr<const policy::Snapshot> current() const;
  /// Of the newest snapshot; what plugins compare.
  [[nodiscard]] const std::atomic<std::uint64_t>& generation() const noexcept { return generation_; }
  /// Refreshed by whoever publishes.
  [[nodiscard]] Calendar& calendar() noexcept { return calendar_; }

 private:
  friend class SnapshotView;
  static constexpr std::uint32_t kNone = UINT32_MAX;
  /// Of a client, by its entry; of nobody, the next one that is free. Clients are at even addresses.
  class Place {
   public:
    explicit Place(JudgedClient& client) noexcept : word_(reinterpret_cast<std::uintptr_t>(&client)) {}
    explicit Place(std::uint32_t next_free) noexcept : word_(std::uintptr_t{next_free} << 1U | 1U) {}
    /// Null: nobody's.
    [[nodiscard]] JudgedClient* client() const noexcept {
      return (word_ & 1U) != 0 ? nullptr : reinterpret_cast<JudgedClient*>(word_);
    }
    [[nodiscard]] std::uint32_t next_free() const noexcept { return static_cast<std::uint32_t>(word_ >> 1U); }

   private:
    std::uintptr_t word_;
  };
  // Of these, the former two are for who holds the lock.
  void reserve(JudgedClient& client, const PublishedPolicy& policy) noexcept;
  void reserve_all(JudgedClient& client) noexcept;
  /// Calls work(JudgedClient&) for each, under the lock, which others may have in between.
  template <class Work>
  void for_clients(Work work) noexcept;

  Calendar calendar_;
  std::atomic<std::uint64_t> generation_;
  std::atomic<const PublishedPolicy*> newest_;
  mutable std::mutex mutex_;                                 // guards all that follows
  std::deque<std::shared_ptr<const PublishedPolicy>> held_;  // ascending generations, the newest last
  std::vector<const SnapshotView*> views_;
  std::shared_ptr<const PublishedPolicy> coming_;  // not published yet
  std::deque<Place> clients_;                      // by entry
  std::uint32_t first_free_ = kNone;
  bool lacks_memory_ = false;  // one of them does
};

/// One lane's view of the board. Not thread-safe: one thread, but for construction and destruction.
class SnapshotView {
 public:
  explicit SnapshotView(std::shared_ptr<SnapshotBoard> board);
  ~SnapshotView();
  SnapshotView(const SnapshotView&) = delete;
  SnapshotView& operator=(const SnapshotView&) = delete;

  /// Moves to the newest snapshot; the one before may be freed from now on. One atomic load when nothing is new.
  /// @return the generation
  std::uint64_t refresh() noexcept {
    return board_->generation_.load(std::memory_order_acquire) == generation_ ? generation_ : move_on();
  }
  /// Valid until the next refresh().
  [[nodiscard]] const PublishedPolicy& published() const noexcept { return *reads_.load(std::memory_order_relaxed); }
  [[nodiscard]] const policy::Snapshot& snapshot() const noexcept { return *published().snapshot; }

 private:
  friend class SnapshotBoard;
  std::uint64_t move_on() noexcept;

  std::shared_ptr<SnapshotBoard> board_;
  std::uint64_t generation_;
  std::atomic<const PublishedPolicy*> reads_;  // a hazard pointer: written by the lane, read by free_unused()
};

}  // namespace gatehouse
