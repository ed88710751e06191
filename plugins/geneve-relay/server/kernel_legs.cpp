#include "plugins/geneve-relay/server/kernel_legs.hpp"

namespace gatehouse::geneve_relay {
namespace {

Endpoint local_of(const RelayEntry& entry, LegIndex leg) noexcept {
  return {entry.endpoint.address(leg).local, entry.local_ports[leg]};
}

FastKey key_of(const RelayEntry& entry, LegIndex leg) noexcept {
  return {entry.endpoint.vni(), entry.endpoint.address(leg).remote, local_of(entry, leg)};
}

}  // namespace

void KernelLegs::review(RelayEntry& entry, SteadyTime now) noexcept {
  if (path_ == nullptr) return;
  if (!may_relay(entry)) return withdraw(entry);
  for (LegIndex leg = 0; leg < entry.in_kernel.size(); ++leg)
    if (!entry.in_kernel[leg].is_there) put(entry, leg, now);
}

bool KernelLegs::may_relay(const RelayEntry& entry) const noexcept {
  const RelayEndpoint& endpoint = entry.endpoint;
  return !is_closed_ && !entry.is_metered && endpoint.is_open() && endpoint.is_permitted(0) &&
         endpoint.is_permitted(1) && entry.sockets[0] != nullptr && entry.sockets[1] != nullptr;
}

/// What the map does not take stays user space's, without a word.
void KernelLegs::put(RelayEntry& entry, LegIndex leg, SteadyTime now) noexcept {
  const FastTarget target{entry.endpoint.address(1 - leg).remote, local_of(entry, 1 - leg)};
  entry.in_kernel[leg] = {.is_there = path_->put(key_of(entry, leg), target, now).has_value(), .counted = {}};
}

void KernelLegs::withdraw(RelayEntry& entry) noexcept {
  for (LegIndex leg = 0; leg < entry.in_kernel.size(); ++leg) {
    if (!entry.in_kernel[leg].is_there) continue;
    if (const auto use = path_->erase(key_of(entry, leg))) add(entry, leg, *use);
    entry.in_kernel[leg] = {};
  }
}

void KernelLegs::collect(RelayEntry& entry) noexcept {
  for (LegIndex leg = 0; leg < entry.in_kernel.size(); ++leg) {
    if (!entry.in_kernel[leg].is_there) continue;
    if (const auto use = path_->read(key_of(entry, leg))) add(entry, leg, *use);
  }
}

void KernelLegs::add(RelayEntry& entry, LegIndex leg, const FastUse& use) noexcept {
  FastUse& counted = entry.in_kernel[leg].counted;
  const std::uint64_t packets = use.packets - counted.packets, bytes = use.bytes - counted.bytes;
  counted = use;
  if (packets == 0) return;
  entry.endpoint.add_relayed(leg, packets, bytes, use.last_seen);
  const Family family = entry.endpoint.address(leg).remote.address.family();
  counters_.forward(family, family, packets, bytes);
  leg == 0 ? entry.session.count_up(packets, bytes) : entry.session.count_down(packets, bytes);
}

}  // namespace gatehouse::geneve_relay
