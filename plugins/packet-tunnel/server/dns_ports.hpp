// Which ports are DNS, remembered for a generation of the policy, so that the host is not asked for each packet. One
// lane's; not thread-safe.
#pragma once

#include <gatehouse/plugin/policy_client.hpp>

#include <array>
#include <cstdint>

namespace gatehouse::packet_tunnel {

class DnsPorts {
 public:
  /// @param policy  of any client: ports are the same for all
  [[nodiscard]] bool contains(std::uint16_t port, std::uint64_t generation, const PolicyClient& policy) noexcept {
    if (generation != generation_) {
      known_.fill({});
      generation_ = generation;
    }
    Entry& entry = known_[port % known_.size()];
    if (!entry.is_known || entry.port != port)
      entry = {port, true, policy.dns({.destination = {IpAddress(), port, 0}}).queries};
    return entry.is_dns;
  }

 private:
  struct Entry {
    std::uint16_t port = 0;
    bool is_known = false, is_dns = false;
  };
  std::array<Entry, 64> known_{};
  std::uint64_t generation_ = 0;
};

}  // namespace gatehouse::packet_tunnel
