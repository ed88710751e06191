// udpgw: UDP over a byte stream, the protocol of badvpn's udpgw and tun2socks. See README.md for the wire.
#include "plugins/udpgw/lane.hpp"
#include "plugins/udpgw/options_schema.hpp"
#include "plugins/udpgw/probe.hpp"

namespace gatehouse::udpgw {
namespace {

class UdpgwPlugin final : public LanePlugin<UdpgwLane, UdpgwSettings> {
 public:
  using LanePlugin::LanePlugin;
  static const void* offer(std::string_view id) noexcept { return id == kProbeOffer ? &kProbe : nullptr; }
};

constexpr Role kRoles[] = {make_role("listen", RoleKind::streams, true, Openings::configured)};

}  // namespace
}  // namespace gatehouse::udpgw

extern "C" [[gnu::visibility("default")]] const gatehouse::Manifest gatehouse_plugin;
const gatehouse::Manifest gatehouse_plugin = gatehouse::make_manifest<gatehouse::udpgw::UdpgwPlugin>({
    .id = "udpgw",
    .version = "0.1.0",
    .summary = "UDP over a byte stream, for the clients of badvpn-udpgw.",
    .options_schema = gatehouse::udpgw::kOptionsSchema,
    .roles = gatehouse::udpgw::kRoles,
});
