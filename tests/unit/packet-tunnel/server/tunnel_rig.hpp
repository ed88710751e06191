// The whole server under a fake host, with a real tun device in this process's own network: what a client sends is seen
// where the kernel takes it of the device, and packets for a client are given to the device as the kernel would.
#pragma once

#include "plugins/packet-tunnel/server/reject.hpp"
#include "tests/unit/own_network.hpp"
#include "tests/unit/packet-tunnel/server/tunnel_ends.hpp"

#include <gatehouse/testkit/plugin_runner.hpp>

extern "C" const gh_manifest gatehouse_plugin;

namespace gatehouse::packet_tunnel {

inline std::string tunnel_options(const std::string& resolvers) {
  return R"({"device": "gatehouse0", "device_fd": -1, "mtu": 1500, "egress_interface": "",
             "ipv4_prefix": "10.0.0.0/8", "ipv6_prefix": "fd19:ca83:e6d5:1c44::/64", "ipv6": "required",
             "nat": "none", "fwmark": 0, "nat_connections_per_client": 0, "dns_resolvers": [)" +
         resolvers + R"(], "blocked_answer": "nxdomain", "blocked_ttl_seconds": 10, "denied_answer": "reject",
             "nat_connections_per_client": 8192, "large_frames": true, "session_idle_seconds": 300,
             "client_buffer_bytes": 4194304})";
}

inline constexpr const char* kResolvers = R"("8.8.8.8", "2001:4860:4860::8888")";

/// The only number that a session can have is 0x123456. Everything is allowed but port 25, blocked.example.org, what is
/// no host's address, and, once refuse_bogons() was called, private addresses.
class TunnelRig {
 public:
  TunnelRig() {
    judge(false);
    // What clients send goes nowhere, and nobody says so.
    output_of("ip route add blackhole default && ip -6 route add blackhole default");
  }

  void refuse_bogons() {
    judge(true);
    plugin.policy_changed();
  }
  /// Names on that port are judged, and those that answers lead to; on no other.
  void judge_names(std::uint16_t port) {
    host.set_dns({port}, true);
    plugin.policy_changed();
  }
  [[nodiscard]] TunnelStream open(const std::string& fields = {}) const {
    return {plugin.address(), "0123456789abcdef0123456789abcdef", fields};
  }
  [[nodiscard]] std::uint64_t rejected(Reject reason) const {
    std::uint64_t out = 0;
    for (const char* direction : {"up", "down"})
      out += host.metric("packets_rejected{direction=\"" + std::string(direction) + "\",reason=\"" +
                         std::string(to_text(reason)) + "\"}");
    return out;
  }
  /// All but those that the kernel causes by itself.
  [[nodiscard]] std::uint64_t rejected() const {
    std::uint64_t out = 0;
    for (std::size_t i = 0; i < kRejects; ++i)
      if (static_cast<Reject>(i) != Reject::no_session) out += rejected(static_cast<Reject>(i));
    return out;
  }

  testkit::FakeHost host = testkit::FakeHost();
  const bool has_ranges = (host.set_ranges("tunnel-index", {{0x123456, 0x123456}}), true);
  testkit::PluginRunner plugin{gatehouse_plugin, host, tunnel_options(kResolvers), 1,
                               std::vector<testkit::TestListener>{{.http_opening = true}}};
  DeviceTap device{"gatehouse0"};

 private:
  void judge(bool are_bogons_refused) {
    host.set_policy([are_bogons_refused](const testkit::FakeFlow& flow) -> std::uint16_t {
      const IpAddress& to = flow.destination.address;
      if ((flow.flags & GH_FLOW_BAD_NAME) != 0) return GH_REASON_DNS_MALFORMED;
      if (flow.domain == "blocked.example.org") return GH_REASON_DOMAIN;
      if ((flow.flags & GH_FLOW_RESOLVER) != 0) return 0;
      if (to.is_loopback() || to.is_multicast() || to.is_link_local() || to == IpAddress::v4(0xffff'ffff))
        return GH_REASON_HARD_DENY;
      if (are_bogons_refused && Prefix::parse("192.168.0.0/16")->contains(to)) return GH_REASON_BOGON;
      return flow.destination.port == 25 ? GH_REASON_PORT_PERMIT : 0;
    });
  }
};

}  // namespace gatehouse::packet_tunnel
