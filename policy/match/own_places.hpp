// Surroundings, compiled: is this destination the gateway itself? Built once, then immutable and thread-safe.
#pragma once

#include "policy/match/address_bits.hpp"
#include "policy/surroundings.hpp"

#include <boost/unordered/unordered_flat_set.hpp>

#include <vector>

namespace gatehouse::policy {

class OwnPlaces {
 public:
  OwnPlaces() = default;
  explicit OwnPlaces(const Surroundings& surroundings);

  [[nodiscard]] bool is_own(const IpAddress& address) const noexcept { return own_.contains(address); }
  [[nodiscard]] bool is_broadcast(const IpAddress& address) const noexcept { return broadcast_.contains(address); }
  [[nodiscard]] bool in_tunnel(const AddressBits& address) const noexcept;
  /// `address` is an own address or loopback.
  [[nodiscard]] bool is_listener(const IpAddress& address, std::uint16_t port, std::uint32_t transport) const noexcept;

 private:
  boost::unordered_flat_set<IpAddress> own_;
  boost::unordered_flat_set<IpAddress> broadcast_;
  std::vector<PrefixBits> tunnels_;
  std::vector<OwnListener> listeners_;
};

}  // namespace gatehouse::policy
