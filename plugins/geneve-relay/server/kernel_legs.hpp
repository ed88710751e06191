// Which of a lane's endpoints the kernel relays, and what it has carried for them. It may only what user space would do
// at any time: both clients bound and permitted, nothing metered (fast_path/fast_path.hpp).
#pragma once

#include "plugins/geneve-relay/fast_path/fast_path.hpp"
#include "plugins/geneve-relay/server/counters.hpp"
#include "plugins/geneve-relay/server/endpoint_table.hpp"

namespace gatehouse::geneve_relay {

/// One lane's; not thread-safe. Each call costs some microseconds where the kernel relays, else nothing.
class KernelLegs {
 public:
  /// @param path  null: nothing is in the kernel
  KernelLegs(FastPath* path, Counters& counters) noexcept : path_(path), counters_(counters) {}

  /// Has the kernel relay the endpoint, or no longer, as the endpoint is now. After each change of what that hangs on.
  void review(RelayEntry& entry, SteadyTime now) noexcept;
  /// The kernel relays it no longer, and what it has carried is counted. Before either client is bound elsewhere, and
  /// before the endpoint goes.
  void withdraw(RelayEntry& entry) noexcept;
  /// Counts what the kernel has carried since, and when it last did.
  void collect(RelayEntry& entry) noexcept;

  /// From now on review() only withdraws.
  void close() noexcept { is_closed_ = true; }

 private:
  [[nodiscard]] bool may_relay(const RelayEntry& entry) const noexcept;
  void put(RelayEntry& entry, LegIndex leg, SteadyTime now) noexcept;
  void add(RelayEntry& entry, LegIndex leg, const FastUse& use) noexcept;

  FastPath* path_;
  Counters& counters_;
  bool is_closed_ = false;
};

}  // namespace gatehouse::geneve_relay
