// Names of servers while the system's resolver leads into a tunnel that is down, or is blocked: asked by ourselves,
// outside, from those who answered before.
#pragma once

#include <gatehouse/base/address.hpp>
#include <gatehouse/base/clock.hpp>

#include <filesystem>
#include <string>
#include <vector>

namespace gatehouse::packet_tunnel {

/// The name servers of this host when the tunnel is not there.
/// @param resolv_conf  the system's, or what stands beside it meanwhile
/// @param ours         what the tunnel has put into it: left out
[[nodiscard]] std::vector<Endpoint> outside_nameservers(const std::filesystem::path& resolv_conf,
                                                        const std::vector<IpAddress>& ours);

/// IPv4 and IPv6 addresses of `host`, by UDP queries with our mark; each server has kServerPatience. Blocks.
/// @param host  a domain name @param mark  0 = none @return none: nobody has an address for it
[[nodiscard]] std::vector<IpAddress> look_up_outside(const std::string& host, const std::vector<Endpoint>& nameservers,
                                                     std::uint32_t mark);

inline constexpr std::chrono::milliseconds kServerPatience{1500};

}  // namespace gatehouse::packet_tunnel
