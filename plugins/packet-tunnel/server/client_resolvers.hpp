// Where the DNS queries go that clients send to the tunnel's DNS address.
#pragma once

#include "plugins/packet-tunnel/common/dns_address.hpp"
#include "plugins/packet-tunnel/server/settings.hpp"

#include <gatehouse/net/resolv_conf.hpp>

#include <span>
#include <vector>

namespace gatehouse::packet_tunnel {

/// A session's, as they were when it began: of each family, any number.
struct SessionResolvers {
  std::vector<IpAddress> v4, v6;

  [[nodiscard]] const std::vector<IpAddress>& of(std::uint8_t version) const noexcept { return version == 4 ? v4 : v6; }
};

/// One of a lane; not thread-safe.
class ClientResolvers {
 public:
  /// Those of the settings; "system" are the nameservers of /etc/resolv.conf that packets can be routed to, or, where
  /// that names none but a resolver on loopback, those that systemd-resolved asks itself. Looks at files at most once a
  /// second. @throws std::bad_alloc
  [[nodiscard]] SessionResolvers choose(const TunnelSettings& settings, SteadyTime now);

 private:
  ResolvConf system_;
  ResolvConf behind_resolved_{"/run/systemd/resolve/resolv.conf"};
};

/// All that the settings mean now, for whoever looks what addresses are taken.
[[nodiscard]] std::vector<Endpoint> name_servers(const TunnelSettings& settings);

}  // namespace gatehouse::packet_tunnel
