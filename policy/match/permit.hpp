// One row of port_permits, compiled: two cache lines at most, compared without a branch on the text it came from.
#pragma once

#include "policy/match/address_bits.hpp"
#include "policy/match/port_set.hpp"

#include <cstdint>

namespace gatehouse::policy {

enum class PermitAction : std::uint8_t { deny, allow, monitor };

struct Permit {
  PrefixBits destination;             ///< with base.family none: see `reach`
  const PortBitmap* ports = nullptr;  ///< owned by the snapshot; nullptr = all of `port_bounds`
  std::int64_t row = 0;
  std::uint32_t transport = 0;        ///< 0 = any
  PortRange port_bounds = kAllPorts;  ///< first and last port of the set
  PermitAction action = PermitAction::allow;
  /// Without a CIDR an allow covers public addresses only; a deny and a monitor cover whatever comes this far.
  enum class Reach : std::uint8_t { prefix, public_only, everything } reach = Reach::public_only;
  bool opens_bogon = false;  ///< an allow whose CIDR lies wholly inside one bogon range

  [[nodiscard]] bool matches(const AddressBits& to, bool is_public, std::uint16_t port,
                             std::uint32_t flow_transport) const noexcept {
    if (transport != 0 && transport != flow_transport) return false;
    if (port < port_bounds.first || port > port_bounds.last) return false;
    if (reach == Reach::prefix ? !destination.contains(to) : reach == Reach::public_only && !is_public) return false;
    return ports == nullptr || (*ports)[port];
  }
};

}  // namespace gatehouse::policy
