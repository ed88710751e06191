// Which routes and rules bring this host's packets into the tunnel. Pure.
//
// A table of its own has the tunnel's routes, and rules lead to it everything that has not our mark: so the connection
// to the server, which has it, follows the host's own routes, whatever they become. Prefixes that stay outside are
// `throw` routes in that table: the look-up goes on behind it. Where everything goes through the tunnel, the main
// table is asked first for all but its default route, so that the host's own networks stay within reach.
#pragma once

#include "plugins/packet-tunnel/client/settings.hpp"
#include "plugins/packet-tunnel/common/routing.hpp"

namespace gatehouse::packet_tunnel {

struct RoutePlan {
  std::vector<Route> routes;
  std::vector<RoutingRule> rules;
};

/// Priority of the first rule; there are kRules of a family at most.
inline constexpr std::uint32_t kFirstRule = 30'000, kRules = 4;

/// @param link      the device's number
/// @param number    of the table, and the mark of our own packets
/// @param has_ipv6  of the server; if not, or if the device has no address of a family, that family is unreachable
///                  where it would have gone into the tunnel: it fails at once, and does not leak
[[nodiscard]] RoutePlan plan_routes(const ClientSettings& settings, unsigned link, std::uint32_t number, bool has_ipv6);

/// Where the search for a number begins.
inline constexpr std::uint32_t kFirstNumber = 0x6774;
/// Does a rule or a route have `number`, as a table's or as a mark?
[[nodiscard]] bool is_in_use(std::uint32_t number, const std::vector<RoutingRule>& rules,
                             const std::vector<Route>& routes);

}  // namespace gatehouse::packet_tunnel
