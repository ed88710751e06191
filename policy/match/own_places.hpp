// Who claims or listens at a destination? The places of the surroundings, compiled. Built once, then immutable and
// thread-safe.
#pragma once

#include "policy/match/address_bits.hpp"
#include "policy/surroundings.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::policy {

/// Of the plugins that claim addresses: one of them, or what one range of addresses can say of them all. Means nothing
/// in another generation.
enum class Claimant : std::uint16_t { nobody = 0, several = UINT16_MAX };

class OwnPlaces {
 public:
  OwnPlaces() = default;
  explicit OwnPlaces(const Surroundings& surroundings);

  /// Which plugin claims this address. A walk over all claims: not per packet.
  [[nodiscard]] Claimant claimant_of(const IpAddress& address) const noexcept;
  /// That plugin; nobody if it claims nothing.
  [[nodiscard]] Claimant claimant(std::string_view plugin) const noexcept;
  /// The plugin's name; "several plugins".
  [[nodiscard]] std::string_view name_of(Claimant claimant) const noexcept;
  [[nodiscard]] const std::vector<ClaimedPrefix>& claims() const noexcept { return claims_; }
  /// `address` is an own address or loopback.
  [[nodiscard]] bool is_listener(const IpAddress& address, std::uint16_t port, std::uint32_t transport) const noexcept;

 private:
  std::vector<ClaimedPrefix> claims_;
  std::vector<std::string> claimants_;  // the first is Claimant{1}
  std::vector<OwnListener> listeners_;
};

}  // namespace gatehouse::policy
