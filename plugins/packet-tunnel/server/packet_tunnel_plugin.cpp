// packet-tunnel: IP packets over a byte stream. See README.md for the wire.
#include "plugins/packet-tunnel/server/lane.hpp"
#include "plugins/packet-tunnel/server/options_schema.hpp"
#include "plugins/packet-tunnel/server/probe.hpp"

namespace gatehouse::packet_tunnel {
namespace {

class PacketTunnelPlugin final : public LanePlugin<TunnelLane, TunnelSettings, TunnelShared> {
 public:
  using LanePlugin::LanePlugin;
  static const void* offer(std::string_view id) noexcept {
    if (id == kProbeOffer) return &kProbe;
    static const SessionDescriber describer = make_describer<describe_session>(SessionMetrics::count_names());
    return id == kDescribeOffer ? &describer : nullptr;
  }
};

constexpr Role kRoles[] = {make_role("listen", RoleKind::streams, true, Openings::http)};

}  // namespace
}  // namespace gatehouse::packet_tunnel

extern "C" [[gnu::visibility("default")]] const gatehouse::Manifest gatehouse_plugin;
const gatehouse::Manifest gatehouse_plugin = gatehouse::make_manifest<gatehouse::packet_tunnel::PacketTunnelPlugin>({
    .id = "packet-tunnel",
    .version = "0.1.0",
    .summary = "IP packets over a byte stream: a VPN server.",
    .options_schema = gatehouse::packet_tunnel::kOptionsSchema,
    .roles = gatehouse::packet_tunnel::kRoles,
});
