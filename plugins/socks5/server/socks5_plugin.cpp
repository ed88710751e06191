// socks5: a SOCKS5 server (RFC 1928, RFC 1929) whose every step the gateway's policy judges. See README.md.
#include "plugins/socks5/client/probe.hpp"
#include "plugins/socks5/server/lane.hpp"
#include "plugins/socks5/server/options_schema.hpp"
#include "plugins/socks5/server/session_state.hpp"

namespace gatehouse::socks5 {
namespace {

constexpr SessionDescriber kDescriber = make_describer<describe_state>();

class Socks5Plugin final : public LanePlugin<Socks5Lane, Socks5Settings> {
 public:
  using LanePlugin::LanePlugin;
  static const void* offer(std::string_view id) noexcept {
    if (id == kProbeOffer) return &kProbe;
    return id == kDescribeOffer ? &kDescriber : nullptr;
  }
};

constexpr Role kRoles[] = {make_role("listen", RoleKind::streams, true, Openings::own_token)};

}  // namespace
}  // namespace gatehouse::socks5

extern "C" [[gnu::visibility("default")]] const gatehouse::Manifest gatehouse_plugin;
const gatehouse::Manifest gatehouse_plugin = gatehouse::make_manifest<gatehouse::socks5::Socks5Plugin>({
    .id = "socks5",
    .version = "0.1.0",
    .summary = "A SOCKS5 server: TCP connections and UDP, by address or by name.",
    .options_schema = gatehouse::socks5::kOptionsSchema,
    .roles = gatehouse::socks5::kRoles,
});
