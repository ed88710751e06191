#include "policy/match/own_places.hpp"

#include <algorithm>

namespace gatehouse::policy {

OwnPlaces::OwnPlaces(const Surroundings& surroundings) : listeners_(surroundings.listeners) {
  for (const IpAddress& address : surroundings.own_addresses) own_.insert(address.unmapped());
  for (const IpAddress& address : surroundings.broadcast_addresses) broadcast_.insert(address.unmapped());
  for (const Prefix& prefix : surroundings.tunnel_prefixes) tunnels_.emplace_back(prefix);
  for (OwnListener& listener : listeners_) listener.endpoint.address = listener.endpoint.address.unmapped();
}

bool OwnPlaces::in_tunnel(const AddressBits& address) const noexcept {
  return std::any_of(tunnels_.begin(), tunnels_.end(), [&](const PrefixBits& p) { return p.contains(address); });
}

bool OwnPlaces::is_listener(const IpAddress& address, std::uint16_t port, std::uint32_t transport) const noexcept {
  return std::any_of(listeners_.begin(), listeners_.end(), [&](const OwnListener& l) {
    return l.transport == transport && l.endpoint.port == port &&
           (l.endpoint.address.is_unspecified() || l.endpoint.address == address);
  });
}

}  // namespace gatehouse::policy
