// Listeners that reloads have taken away from plugins, for as long as a lane may have their sockets.
#pragma once

#include "gateway/plugin/listeners.hpp"

#include <gatehouse/base/clock.hpp>

#include <memory>
#include <set>
#include <utility>
#include <vector>

namespace gatehouse {

/// Control thread only.
class GivenUpListeners {
 public:
  using Listeners = std::set<std::shared_ptr<const BoundListener>>;

  /// How long they are waited for: a plugin that leaves has ten seconds, and some more to end.
  static constexpr Nanoseconds kMostTime = std::chrono::seconds(15);

  /// Of the listeners that there were in a reload, those that no plugin has after it.
  void add(const Listeners& before, const Listeners& after, SteadyTime now);
  /// Does one of them keep others from binding `address`? Not what another program has. Some system calls where that
  /// may be.
  [[nodiscard]] bool are_in_the_way_of(const ListenAddress& address, SteadyTime now) const;

 private:
  std::vector<std::pair<SteadyTime, std::weak_ptr<const BoundListener>>> all_;  // and when that was
};

}  // namespace gatehouse
