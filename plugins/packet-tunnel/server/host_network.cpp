#include "plugins/packet-tunnel/server/host_network.hpp"

#include "plugins/packet-tunnel/common/host_error.hpp"
#include "plugins/packet-tunnel/common/sysctl.hpp"

#include <algorithm>
#include <stdexcept>

namespace gatehouse::packet_tunnel {
namespace {

constexpr std::string_view kForwardingV4 = "net/ipv4/conf/all/forwarding";
constexpr std::string_view kForwardingV6 = "net/ipv6/conf/all/forwarding";

/// Why this host has no IPv6; empty if it has.
std::string missing_ipv6() {
  const auto disabled = read_sysctl("net/ipv6/conf/all/disable_ipv6");
  if (!disabled) return "this host has no IPv6 (its kernel was built or started without it)";
  return *disabled == "1" ? "IPv6 is switched off on this host (net.ipv6.conf.all.disable_ipv6 = 1)" : "";
}

/// Sets what is nice to have: a failure changes nothing for anybody.
void try_sysctl(const std::string& name, const std::string& value) noexcept {
  try {
    write_sysctl(name, value);
  } catch (const std::exception&) {
  }
}

std::optional<Prefix> present_v4_prefix(Netlink& netlink, const TunDevice& device) {
  if (!device.was_there() || device.index() == 0) return {};
  for (const LinkAddress& address : netlink.addresses(device.index()))
    if (address.address.is_v4()) return address.prefix();
  return {};
}

/// The prefixes, and a note where there is none of IPv6 although there could be.
TunnelPrefixes choose_prefixes(const TunDevice& device, const HostNetworkSettings& settings,
                               std::span<const Endpoint> name_servers, std::vector<std::string>& notes) {
  Netlink netlink;
  const auto taken = taken_prefixes(netlink, device.index(), name_servers);
  const Prefix v4 = choose_v4_prefix(settings.ipv4_prefix, taken, present_v4_prefix(netlink, device));
  if (settings.ipv6 == Ipv6Mode::off) return {v4, {}};
  try {
    const std::string missing = missing_ipv6();
    if (!missing.empty()) throw std::invalid_argument(missing);
    return {v4, choose_v6_prefix(settings.ipv6_prefix, taken)};
  } catch (const std::invalid_argument& error) {
    if (settings.ipv6 == Ipv6Mode::required)
      throw std::invalid_argument(error.what() + std::string("; ipv6 = \"required\""));
    notes.push_back(std::string("clients have no IPv6: ") + error.what());
    return {v4, {}};
  }
}

/// The interfaces whose default route comes from router advertisements, or the one that clients leave by.
std::vector<std::string> advertised_interfaces(Netlink& netlink, const std::string& egress_interface) {
  if (!egress_interface.empty()) return {egress_interface};
  std::vector<unsigned> indexes;
  for (const Route& route : netlink.routes())
    if (route.protocol == RTPROT_RA && route.link != 0) indexes.push_back(route.link);
  std::vector<std::string> out;
  for (const Link& link : netlink.links())
    if (std::ranges::find(indexes, link.index) != indexes.end()) out.push_back(link.name);
  return out;
}

/// "net/ipv4/ip_forward" as people write it.
std::string dotted(std::string name) {
  std::ranges::replace(name, '/', '.');
  return name;
}

}  // namespace

HostNetwork::HostNetwork(const TunDevice& device, const HostNetworkSettings& settings,
                         std::span<const Endpoint> name_servers)
    : prefixes_(choose_prefixes(device, settings, name_servers, notes_)) {
  Netlink netlink;
  if (!device.is_adopted()) configure_device(netlink, device, settings);
  if (!settings.nat) return;
  turn_forwarding_on(netlink, settings);
  const NatSettings nat{device.name(), settings.egress_interface, settings.mark, settings.connections_per_client};
  nat_ = std::make_unique<NatTable>(nat, prefixes_);
  notes_.insert(notes_.end(), nat_->notes().begin(), nat_->notes().end());
}

HostNetwork::~HostNetwork() = default;

void HostNetwork::keep() noexcept {
  if (nat_) nat_->keep();
}

bool HostNetwork::restore_rules() { return nat_ && nat_->restore(); }

void HostNetwork::without_ipv6(const HostNetworkSettings& settings, const std::string& reason) {
  if (settings.ipv6 == Ipv6Mode::required) throw HostError(reason + "; ipv6 = \"required\"");
  notes_.push_back("clients have no IPv6: " + reason);
  prefixes_ = TunnelPrefixes(prefixes_.v4(), {});
}

void HostNetwork::configure_device(Netlink& netlink, const TunDevice& device, const HostNetworkSettings& settings) {
  const unsigned link = device.index();
  const std::string ipv6 = "net/ipv6/conf/" + device.name() + "/";
  netlink.set_mtu(link, settings.mtu);
  netlink.set_queue_length(link, settings.queue_length);
  // Nobody on the other side answers the kernel's own solicitations.
  try_sysctl(ipv6 + "addr_gen_mode", "1");
  try_sysctl(ipv6 + "router_solicitations", "0");
  netlink.put_address({link, prefixes_.device_v4(), prefixes_.v4().length()});
  netlink.set_up(link, true);
  if (prefixes_.v6()) {
    try {
      netlink.put_address({link, prefixes_.device_v6(), prefixes_.v6()->length()});
    } catch (const HostError& error) {
      without_ipv6(settings, error.what());
    }
  }
  if (!prefixes_.v6()) try_sysctl(ipv6 + "disable_ipv6", "1");
  delete_strange_addresses(netlink, link);
}

/// What an earlier start with another prefix has left.
void HostNetwork::delete_strange_addresses(Netlink& netlink, unsigned link) {
  for (const LinkAddress& address : netlink.addresses(link)) {
    const bool is_ours = address == LinkAddress{link, prefixes_.device_v4(), prefixes_.v4().length()} ||
                         (prefixes_.v6() && address.address == prefixes_.device_v6());
    if (!is_ours && !address.address.is_link_local()) netlink.delete_address(address);
  }
}

void HostNetwork::turn_forwarding_on(Netlink& netlink, const HostNetworkSettings& settings) {
  SysctlChanges changes;
  const auto set = [&](const std::string& name, const std::string& value, const std::string& why) {
    if (const auto before = changes.set(name, value))
      notes_.push_back(dotted(name) + " was " + *before + " and is now " + value + ", " + why +
                       "; it stays so, since others may rely on it when the gateway stops");
  };
  set(std::string(kForwardingV4), "1", "so that this host forwards what clients send");
  if (!prefixes_.v6() || read_sysctl(std::string(kForwardingV6)) == "1") return;
  try {
    // First of all: what forwards forgets its routers, unless told to listen to them nevertheless.
    for (const std::string& name : advertised_interfaces(netlink, settings.egress_interface))
      if (const std::string accept = "net/ipv6/conf/" + name + "/accept_ra"; read_sysctl(accept) == "1")
        set(accept, "2", "so that this host keeps its IPv6 routes although it forwards");
    set(std::string(kForwardingV6), "1", "so that this host forwards what clients send");
  } catch (const HostError& error) {
    without_ipv6(settings, error.what());
  }
}

}  // namespace gatehouse::packet_tunnel
