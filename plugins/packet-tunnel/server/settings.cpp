#include "plugins/packet-tunnel/server/settings.hpp"

#include <gatehouse/base/prefix.hpp>
#include <gatehouse/plugin/plugin.hpp>

#include <stdexcept>

namespace gatehouse::packet_tunnel {
namespace {

constexpr unsigned kShortestV4 = 8, kLongestV4 = 28, kLengthV6 = 64;
constexpr std::size_t kLongestName = 15;  // of an interface (IFNAMSIZ)

void check_name(const char* option, const std::string& name) {
  const bool is_bad =
      name.size() > kLongestName || name == "." || name == ".." || name.find_first_of("/: \t\n%\"") != name.npos;
  if (is_bad)
    throw std::invalid_argument(std::string(option) + ": `" + name +
                                "` is no name of an interface: at most 15 characters, without / : \" % or blanks");
}

void check_prefix(const char* option, const std::string& text, bool is_v4) {
  const auto prefix = Prefix::parse(text);
  const bool is_right =
      prefix && prefix->address().is_v4() == is_v4 &&
      (is_v4 ? prefix->length() >= kShortestV4 && prefix->length() <= kLongestV4 : prefix->length() == kLengthV6);
  if (!is_right)
    throw std::invalid_argument(std::string(option) + ": `" + text + "` is not " +
                                (is_v4 ? "\"auto\" or a prefix of 8 to 28 bits such as 10.0.0.0/8"
                                       : "a prefix of 64 bits such as fd19:ca83:e6d5:1c44::/64"));
}

}  // namespace

TunnelSettings::TunnelSettings(const Options& options)
    : device(options.text("device")),
      mtu(static_cast<std::size_t>(options.integer("mtu"))),
      egress_interface(options.text("egress_interface")),
      ipv4_prefix(options.text("ipv4_prefix")),
      ipv6_prefix(options.text("ipv6_prefix")),
      nat(options.text("nat") == "nftables"),
      fwmark(static_cast<std::uint32_t>(options.integer("fwmark"))),
      nat_connections(static_cast<std::uint32_t>(options.integer("nat_connections_per_client"))),
      blocked_answer(options),
      rejects_denied(options.text("denied_answer") == "reject"),
      large_frames(options.boolean("large_frames")),
      session_idle(std::chrono::seconds(options.integer("session_idle_seconds"))),
      client_buffer(static_cast<std::size_t>(options.integer("client_buffer_bytes"))) {
  check_name("device", device);
  check_name("egress_interface", egress_interface);
  if (const auto fd = options.integer("device_fd"); fd >= 0) device_fd = static_cast<int>(fd);
  if (ipv4_prefix != "auto") check_prefix("ipv4_prefix", ipv4_prefix, true);
  check_prefix("ipv6_prefix", ipv6_prefix, false);
  const std::string& six = options.text("ipv6");
  ipv6 = six == "off" ? Ipv6::off : six == "required" ? Ipv6::required : Ipv6::automatic;
  for (const std::string& text : options.texts("dns_resolvers")) {
    if (text == "system") {
      system_resolvers = true;
      continue;
    }
    const auto resolver = IpAddress::parse(text);
    if (!resolver || resolver->is_loopback() || resolver->is_unspecified() || resolver->is_multicast())
      throw std::invalid_argument("dns_resolvers: `" + text +
                                  "` is neither \"system\" nor an address that packets can be routed to, such as "
                                  "192.0.2.1; a resolver on loopback cannot be reached from the tunnel");
    resolvers.push_back({*resolver, 53, 0});
  }
}

void TunnelSettings::check_change(const TunnelSettings& from) const {
  const auto same = [](bool is_same, const char* option) {
    if (!is_same) throw NeedsRestart(std::string(option) + " changes by a restart only: the device is made of it");
  };
  same(device == from.device && device_fd == from.device_fd, "device");
  same(mtu == from.mtu, "mtu");
  same(egress_interface == from.egress_interface, "egress_interface");
  same(ipv4_prefix == from.ipv4_prefix, "ipv4_prefix");
  same(ipv6_prefix == from.ipv6_prefix && ipv6 == from.ipv6, "ipv6");
  same(nat == from.nat && fwmark == from.fwmark, "nat");
  same(nat_connections == from.nat_connections, "nat_connections_per_client");
}

}  // namespace gatehouse::packet_tunnel
