// geneve-relay: a relay of UDP between pairs of clients. See README.md for the wire.
#include "plugins/geneve-relay/client/probe.hpp"
#include "plugins/geneve-relay/relay/leg_state.hpp"
#include "plugins/geneve-relay/server/lane.hpp"
#include "plugins/geneve-relay/server/options_schema.hpp"

namespace gatehouse::geneve_relay {
namespace {

class GeneveRelayPlugin final : public LanePlugin<RelayLane, RelaySettings, RelayShared> {
 public:
  using LanePlugin::LanePlugin;
  void start(const StartFacts& facts) override {
    check(facts.listeners);
    LanePlugin::start(facts);
  }
  void listeners_changed(const std::vector<Listener>& listeners) override {
    check(listeners);
    LanePlugin::listeners_changed(listeners);
  }
  static const void* offer(std::string_view id) noexcept {
    static const Probe probe = make_probe<run_probe>(kProbeUsage);
    static const SessionDescriber describer = make_describer<describe_session>();
    return id == kProbeOffer ? static_cast<const void*>(&probe) : id == kDescribeOffer ? &describer : nullptr;
  }

 private:
  static void check(const std::vector<Listener>& listeners) {
    if (const std::string fault = AllocationApi::fault_of(listeners); !fault.empty())
      throw std::invalid_argument(fault);
  }
};

constexpr Role kRoles[] = {make_role("listen", RoleKind::datagrams, true), AllocationApi::role()};

}  // namespace
}  // namespace gatehouse::geneve_relay

extern "C" [[gnu::visibility("default")]] const gatehouse::Manifest gatehouse_plugin;
const gatehouse::Manifest gatehouse_plugin = gatehouse::make_manifest<gatehouse::geneve_relay::GeneveRelayPlugin>({
    .id = "geneve-relay",
    .version = "0.1.0",
    .summary = "A relay of UDP between pairs of clients that cannot reach each other.",
    .options_schema = gatehouse::geneve_relay::kOptionsSchema,
    .roles = gatehouse::geneve_relay::kRoles,
});
