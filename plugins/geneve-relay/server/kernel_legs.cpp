#include "plugins/geneve-relay/server/kernel_legs.hpp"

#include <new>

namespace gatehouse::geneve_relay {
namespace {

constexpr Nanoseconds kTellAgain = std::chrono::minutes(10);

Endpoint local_of(const LegAddress& leg) noexcept { return {leg.local, leg.local_port}; }

FastKey key_of(const RelayEndpoint& endpoint, LegIndex leg) noexcept {
  return {endpoint.vni(), endpoint.address(leg).remote, local_of(endpoint.address(leg))};
}

InKernel state_of(const RelayEntry& entry, LegIndex leg) noexcept { return entry.endpoint.state(leg).kernel; }

InKernel state_of(const Result<void>& put) noexcept {
  if (put) return InKernel::there;
  if (put.error() == Errc::unsupported || put.error() == Errc::invalid) return InKernel::addresses;
  return put.error() == Errc::limit ? InKernel::full : InKernel::refused;
}

}  // namespace

KernelLegs::KernelLegs(FastPath* path, std::uint32_t lane, Counters& counters)
    : path_(path), lane_(lane), counters_(counters) {
  if (path_ == nullptr) return;
  number_ = path_->legs_number();
  legs_ = path_->legs();
}

void KernelLegs::review(RelayEntry& entry, SteadyTime now) noexcept {
  if (path_ == nullptr) return;
  if (const InKernel want = wanted(entry); want != InKernel::there) return withdraw(entry, want);
  if (is_held_back_) return;
  for (LegIndex leg = 0; leg < kLegs; ++leg) {
    if (state_of(entry, leg) == InKernel::there && (*entry.in_kernel)[leg].map != number_)
      withdraw_leg(entry, leg, InKernel::none);
    const InKernel state = state_of(entry, leg);
    if (state != InKernel::there && state != InKernel::addresses) put(entry, leg, now);
  }
}

InKernel KernelLegs::wanted(const RelayEntry& entry) const noexcept {
  const RelayEndpoint& endpoint = entry.endpoint;
  const bool is_relayed = !is_closed_ && endpoint.is_open() && endpoint.is_permitted(0) && endpoint.is_permitted(1) &&
                          entry.sockets[0] != nullptr && entry.sockets[1] != nullptr;
  if (!is_relayed) return InKernel::none;
  return entry.is_metered ? InKernel::metered : InKernel::there;
}

const LegMap& KernelLegs::map_of(const KernelLeg& leg) const noexcept {
  return leg.map == number_ || !former_ ? *legs_ : *former_;
}

void KernelLegs::put(RelayEntry& entry, LegIndex leg, SteadyTime now) noexcept {
  const LegAddress& other = entry.endpoint.address(1 - leg);
  const FastTarget target{other.remote, local_of(other)};
  if (!entry.in_kernel) entry.in_kernel.reset(new (std::nothrow) std::array<KernelLeg, 2>);
  if (!entry.in_kernel) return set(entry, leg, InKernel::full);
  (*entry.in_kernel)[leg] = {number_, {}};
  set(entry, leg, state_of(legs_->put(key_of(entry.endpoint, leg), target, lane_, now)));
}

void KernelLegs::withdraw(RelayEntry& entry, InKernel why) noexcept {
  for (LegIndex leg = 0; leg < kLegs; ++leg) withdraw_leg(entry, leg, why);
  entry.in_kernel.reset();
}

void KernelLegs::withdraw_leg(RelayEntry& entry, LegIndex leg, InKernel why) noexcept {
  if (state_of(entry, leg) == InKernel::there)
    if (const auto use = map_of((*entry.in_kernel)[leg]).erase(key_of(entry.endpoint, leg))) add(entry, leg, *use);
  set(entry, leg, why);
}

void KernelLegs::set(RelayEntry& entry, LegIndex leg, InKernel state) noexcept {
  const InKernel before = state_of(entry, leg);
  if (before == state) return;
  entry.endpoint.set_kernel(leg, state);
  if (before != InKernel::none) counters_.kernel_legs[static_cast<std::size_t>(before)].sub();
  if (state != InKernel::none) counters_.kernel_legs[static_cast<std::size_t>(state)].add();
  if (state >= InKernel::addresses) counters_.kernel_refused[static_cast<std::size_t>(state)].add();
  full_ += (state == InKernel::full ? 1U : 0U);
  full_ -= (before == InKernel::full ? 1U : 0U);
  entry.tell_state();
}

void KernelLegs::collect(RelayEntry& entry) noexcept {
  for (LegIndex leg = 0; leg < kLegs; ++leg) {
    if (state_of(entry, leg) != InKernel::there) continue;
    if (const auto use = map_of((*entry.in_kernel)[leg]).read(key_of(entry.endpoint, leg))) add(entry, leg, *use);
  }
}

void KernelLegs::add(RelayEntry& entry, LegIndex leg, const FastUse& use) noexcept {
  FastUse& counted = (*entry.in_kernel)[leg].counted;
  const std::uint64_t packets = use.packets - counted.packets, bytes = use.bytes - counted.bytes;
  counted = use;
  if (packets == 0) return;
  entry.endpoint.note_relayed(leg, use.last_seen);
  const Family family = entry.endpoint.address(leg).remote.address.family();
  counters_.forward(family, family, packets, bytes);
  leg == 0 ? entry.session.count_up(packets, bytes) : entry.session.count_down(packets, bytes);
}

void KernelLegs::beat(SteadyTime now) noexcept {
  if (path_ != nullptr) path_->beat(lane_, now);
}

/// One at a time: what is still in the former one has to be found.
bool KernelLegs::takes_larger_map() {
  if (path_ == nullptr || former_ || path_->legs_number() == number_) return false;
  number_ = path_->legs_number();
  former_ = std::exchange(legs_, path_->legs());
  return true;
}

void KernelLegs::tell(const Log& log, SteadyTime now) {
  if (full_ == 0 || (told_ != SteadyTime{} && now - told_ < kTellAgain)) return;
  told_ = now;
  log.warn(
      "the kernel has no room for all that it could relay, user space relays the rest: raise most_endpoints, or the "
      "memory limit",
      {{"lane", std::to_string(lane_)}, {"legs", std::to_string(full_)}});
}

}  // namespace gatehouse::geneve_relay
