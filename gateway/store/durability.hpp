// What stands between the tables in memory and the thread that writes them: the list of changes, the callers that
// wait until theirs are durable, and how they are answered while the disk fails.
#pragma once

#include "gateway/store/change_list.hpp"
#include "gateway/store/store_status.hpp"

#include <gatehouse/abi.h>
#include <gatehouse/async/wake_event.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

namespace gatehouse {

/// A plugin instance that waits. Its completions are called only while it is open.
class Requester {
 public:
  /// Returns when no completion is running any more; none comes after it.
  void close() noexcept;
  void complete(const gh_completion& completion, gh_status status) noexcept;

 private:
  std::mutex mutex_;  // guards open_; held during a completion
  bool open_ = true;
};

/// Thread-safe.
class Durability {
 public:
  using Ticket = std::uint64_t;

  Durability() = default;
  Durability(const Durability&) = delete;
  Durability& operator=(const Durability&) = delete;

  // ---- tables, on a lane
  /// Must something new be refused now, under `no_new`? Counts it if so.
  [[nodiscard]] bool refuses_new() noexcept;
  /// Registers who waits; 0 when nobody does. Give the ticket to the record that changes. Nothing is completed before
  /// arm().
  [[nodiscard]] Ticket await(const std::shared_ptr<Requester>& who, const gh_completion* durable);
  /// The call succeeded: its completion will be called, at once if the change is durable already or the disk fails.
  /// `is_new`: `no_new` may refuse it. What exists already is never refused.
  void arm(Ticket ticket, bool is_new) noexcept;
  /// The call was refused: no completion.
  void cancel(Ticket ticket) noexcept;
  /// A record has changed; wakes the writer.
  void add(ChangeLink& link) noexcept {
    if (changes_.add(link)) wake_.signal();
  }

  // ---- the writer
  [[nodiscard]] ChangeList& changes() noexcept { return changes_; }
  [[nodiscard]] WakeEvent& wake() noexcept { return wake_; }
  void complete(const std::vector<Ticket>& tickets, gh_status status) noexcept;
  /// What they wait for will not be durable: they are answered as while the store fails.
  void give_up(const std::vector<Ticket>& tickets) noexcept;
  /// Sets whether the store fails. When it begins to, on_failure() decides what those who wait are answered.
  void set_failing(bool failing) noexcept;

  void set_on_failure(OnStoreFailure what) noexcept { on_failure_.store(what, std::memory_order_relaxed); }
  [[nodiscard]] OnStoreFailure on_failure() const noexcept { return on_failure_.load(std::memory_order_relaxed); }
  [[nodiscard]] bool is_failing() const noexcept { return failing_.load(std::memory_order_acquire); }
  [[nodiscard]] std::uint64_t served_undurable() const noexcept { return served_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t refused() const noexcept { return refused_.load(std::memory_order_relaxed); }

 private:
  struct Waiting {
    std::shared_ptr<Requester> who;
    gh_completion completion;
    bool armed = false;
    bool is_new = true;
    std::optional<gh_status> result;  // which came before it was armed
    bool given_up = false;            // likewise
  };
  void release_all();
  void release(const Waiting& waiting) noexcept;

  ChangeList changes_;
  WakeEvent wake_;
  std::atomic<bool> failing_{false};
  std::atomic<OnStoreFailure> on_failure_{OnStoreFailure::serve};
  std::atomic<std::uint64_t> served_{0}, refused_{0};
  std::mutex mutex_;  // guards what follows
  Ticket last_ticket_ = 0;
  std::unordered_map<Ticket, Waiting> waiting_;
};

}  // namespace gatehouse
