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
  std::vector<Prefix> own = {};        ///< what the kernel delivers to this host
  std::vector<Prefix> broadcast = {};  ///< what it sends to every host of a network
  std::vector<Prefix> nat64 = {};      ///< where this network's translators embed IPv4 addresses: see is_nat64_prefix()
  std::vector<OwnListener> listeners = {};
  std::vector<ClaimedPrefix> claims = {};
  bool operator==(const Surroundings&) const = default;
};

}  // namespace gatehouse::policy
