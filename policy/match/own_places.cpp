#include "policy/match/own_places.hpp"

#include <algorithm>

namespace gatehouse::policy {

OwnPlaces::OwnPlaces(const Surroundings& surroundings)
    : claims_(surroundings.claims), listeners_(surroundings.listeners) {
  for (const ClaimedPrefix& claim : claims_)
    if (claimant(claim.plugin) == Claimant::nobody) claimants_.push_back(claim.plugin);
  for (OwnListener& listener : listeners_) listener.endpoint.address = listener.endpoint.address.unmapped();
}

Claimant OwnPlaces::claimant_of(const IpAddress& address) const noexcept {
  Claimant out = Claimant::nobody;
  for (const ClaimedPrefix& claim : claims_) {
    if (!claim.prefix.contains(address)) continue;
    const Claimant by = claimant(claim.plugin);
    out = out == Claimant::nobody || out == by ? by : Claimant::several;
  }
  return out;
}

Claimant OwnPlaces::claimant(std::string_view plugin) const noexcept {
  const auto found = std::find(claimants_.begin(), claimants_.end(), plugin);
  return found == claimants_.end() ? Claimant::nobody : static_cast<Claimant>(found - claimants_.begin() + 1);
}

std::string_view OwnPlaces::name_of(Claimant claimant) const noexcept {
  if (claimant == Claimant::nobody) return {};
  if (claimant == Claimant::several) return "several plugins";
  return claimants_[static_cast<std::size_t>(claimant) - 1];
}

bool OwnPlaces::is_listener(const IpAddress& address, std::uint16_t port, std::uint32_t transport) const noexcept {
  return std::any_of(listeners_.begin(), listeners_.end(), [&](const OwnListener& l) {
    return l.transport == transport && l.endpoint.port == port &&
           (l.endpoint.address.is_unspecified() || l.endpoint.address == address);
  });
}

}  // namespace gatehouse::policy
