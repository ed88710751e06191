// The gateway's own place in the network, which no client may reach. A value.
#pragma once

#include <gatehouse/base/address.hpp>
#include <gatehouse/base/prefix.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace gatehouse::policy {

/// An address that this gateway serves on. Unspecified (0.0.0.0, ::) = on every own address, of either family.
struct OwnListener {
  Endpoint endpoint;
  std::uint32_t transport = 0;  ///< kTcp, kUdp
  bool operator==(const OwnListener&) const = default;
};

/// Addresses that a plugin claims as its own, such as those that a packet tunnel gives its clients: clients of other
/// plugins must not reach them.
struct ClaimedPrefix {
  Prefix prefix;
  std::string plugin;
  auto operator<=>(const ClaimedPrefix&) const = default;
};

struct Surroundings {
  std::vector<IpAddress> own_addresses;        ///< of every interface
  std::vector<IpAddress> broadcast_addresses;  ///< of every interface's IPv4 networks
  std::vector<OwnListener> listeners;
  std::vector<ClaimedPrefix> claims;
  bool operator==(const Surroundings&) const = default;
};

}  // namespace gatehouse::policy
