// Which of a lane's endpoints the kernel relays, and what it has carried for them. It may only what user space would do
// at any time: both clients bound and permitted, nothing metered (fast_path/fast_path.hpp).
#pragma once

#include "plugins/geneve-relay/fast_path/fast_path.hpp"
#include "plugins/geneve-relay/server/counters.hpp"
#include "plugins/geneve-relay/server/endpoint_table.hpp"

#include <memory>

namespace gatehouse::geneve_relay {

/// One lane's; not thread-safe. Each call costs some microseconds where the kernel relays, else nothing.
class KernelLegs {
 public:
  /// @param path  null: nothing is in the kernel
  KernelLegs(FastPath* path, std::uint32_t lane, Counters& counters);

  /// Has the kernel relay the endpoint, or no longer, as the endpoint is now. After each change of what that hangs on,
  /// and now and then: what the kernel had no room for is offered again.
  void review(RelayEntry& entry, SteadyTime now) noexcept;
  /// The kernel relays it no longer, and what it has carried is counted. Before either client is bound elsewhere, and
  /// before the endpoint goes.
  void withdraw(RelayEntry& entry) noexcept { withdraw(entry, InKernel::none); }
  /// Counts what the kernel has carried since, and when it last did.
  void collect(RelayEntry& entry) noexcept;

  /// The lane turns: without that its legs are user space's after a second. A store.
  void beat(SteadyTime now) noexcept;
  /// True: the kernel has a larger map since, and review() of each endpoint takes it there; then settle().
  [[nodiscard]] bool takes_larger_map();
  void settle() noexcept { former_.reset(); }
  /// Warns, once in a while, of legs that user space has to relay because the kernel has no room.
  void tell(const Log& log, SteadyTime now);

  /// Until admit() review() only withdraws: what policy has come to deny leaves
  /// before anything else comes in.
  void hold_back() noexcept { is_held_back_ = true; }
  void admit() noexcept { is_held_back_ = false; }
  /// From now on the kernel is to relay nothing.
  void close() noexcept { is_closed_ = true; }

 private:
  [[nodiscard]] InKernel wanted(const RelayEntry& entry) const noexcept;
  [[nodiscard]] const LegMap& map_of(const KernelLeg& leg) const noexcept;
  void put(RelayEntry& entry, LegIndex leg, SteadyTime now) noexcept;
  void withdraw(RelayEntry& entry, InKernel why) noexcept;
  void withdraw_leg(RelayEntry& entry, LegIndex leg, InKernel why) noexcept;
  void set(RelayEntry& entry, LegIndex leg, InKernel state) noexcept;
  void add(RelayEntry& entry, LegIndex leg, const FastUse& use) noexcept;

  FastPath* path_;
  const std::uint32_t lane_;
  Counters& counters_;
  std::shared_ptr<const LegMap> legs_, former_;  // former: until settle()
  std::uint32_t number_ = 0;                     // of legs_
  std::uint64_t full_ = 0;                       // legs without room
  SteadyTime told_{};
  bool is_held_back_ = false;
  bool is_closed_ = false;
};

}  // namespace gatehouse::geneve_relay
