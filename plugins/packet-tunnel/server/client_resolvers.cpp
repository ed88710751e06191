#include "plugins/packet-tunnel/server/client_resolvers.hpp"

#include <algorithm>

namespace gatehouse::packet_tunnel {
namespace {

bool can_be_routed_to(const Endpoint& server) noexcept {
  const IpAddress& address = server.address;
  return !address.is_loopback() && !address.is_link_local() && !address.is_unspecified();
}

}  // namespace

SessionResolvers ClientResolvers::choose(const TunnelSettings& settings, SteadyTime now) {
  SessionResolvers out;
  const auto add = [&out](const Endpoint& server) {
    if (can_be_routed_to(server)) (server.address.is_v4() ? out.v4 : out.v6).push_back(server.address);
  };
  if (settings.system_resolvers) {
    const auto& system = system_.nameservers(now);
    const bool is_any = std::ranges::any_of(system, can_be_routed_to);
    std::ranges::for_each(is_any ? system : behind_resolved_.nameservers(now), add);
  }
  std::ranges::for_each(settings.resolvers, add);
  return out;
}

std::vector<Endpoint> name_servers(const TunnelSettings& settings) {
  ClientResolvers resolvers;
  const SessionResolvers chosen = resolvers.choose(settings, steady_now());
  std::vector<Endpoint> out;
  for (const auto* const of : {&chosen.v4, &chosen.v6})
    for (const IpAddress& address : *of) out.push_back({address, 53, 0});
  return out;
}

}  // namespace gatehouse::packet_tunnel
