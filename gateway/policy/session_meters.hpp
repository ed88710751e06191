// The meters of one session, and among whose sessions it counts. Clients of the same session share them: one that is
// resumed goes on with what is left, and one that is replaced while its old stream lingers counts once.
#pragma once

#include "gateway/base/small_mutex.hpp"
#include "policy/limiter.hpp"

#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace gatehouse {

/// Thread-safe. enter() and leave() lock, and enter() may allocate; they are for clients that open and close. Most
/// sessions have no limits of their own and count in one place: that costs 40 bytes, and a pointer each for the session
/// and its client.
class SessionMeters : public boost::intrusive_ref_counter<SessionMeters> {
 public:
  SessionMeters() = default;
  ~SessionMeters() { delete meters_.load(std::memory_order_relaxed); }
  SessionMeters(const SessionMeters&) = delete;
  SessionMeters& operator=(const SessionMeters&) = delete;

  /// A client of this session shares `common` with other sessions: counts the session there, if no other client has.
  /// @param limit  0 = none
  /// @return false: that many are open already, and nothing was counted
  [[nodiscard]] bool enter(policy::Meters& common, std::uint64_t limit);
  /// Undoes one enter().
  void leave(policy::Meters& common) noexcept;

  /// What is metered of it; null before reserve(). Lock-free; stays as long as *this.
  [[nodiscard]] policy::Meters* meters() const noexcept { return meters_.load(std::memory_order_acquire); }
  /// Makes them at the first call. Lock-free. @return null for want of memory
  policy::Meters* reserve() noexcept;

 private:
  struct Place {
    policy::Meters* common = nullptr;
    std::uint32_t clients = 0;
  };
  using Places = std::vector<Place>;
  [[nodiscard]] Place* find(const policy::Meters* common) noexcept;

  SmallMutex mutex_;
  Place first_;                                   // free while it has no clients; guarded by mutex_, as what follows
  std::unique_ptr<Places> others_;                // of clients that come from several addresses
  std::atomic<policy::Meters*> meters_{nullptr};  // not guarded
};

static_assert(sizeof(SessionMeters) <= 40, "mind what a hundred thousand sessions cost");

}  // namespace gatehouse
