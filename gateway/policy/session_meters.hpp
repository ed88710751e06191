// The meters of one session, and among whose sessions it counts. Clients of the same session share them: one that is
// resumed goes on with what is left, and one that is replaced while its old stream lingers counts once.
#pragma once

#include "policy/limiter.hpp"

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

namespace gatehouse {

/// Thread-safe. enter() and leave() lock, and enter() allocates; they are for clients that open and close.
class SessionMeters {
 public:
  /// A client of this session shares `common` with other sessions: counts the session there, if no other client has.
  /// @param limit  0 = none
  /// @return false: that many are open already, and nothing was counted
  [[nodiscard]] bool enter(policy::Meters& common, std::uint64_t limit);
  /// Undoes one enter().
  void leave(policy::Meters& common) noexcept;

  policy::Meters meters;

 private:
  struct Place {
    policy::Meters* common;
    std::size_t clients;
  };
  std::mutex mutex_;           // guards places_
  std::vector<Place> places_;  // one, but for clients that come from several addresses
};

}  // namespace gatehouse
