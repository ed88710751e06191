#include "plugins/packet-tunnel/client/kill_switch.hpp"

namespace gatehouse::packet_tunnel {
namespace {

std::string kill_switch_name(const std::string& device) { return "inet gatehouse_tunnel_" + device; }
std::string marks_name(const std::string& device) { return "inet gatehouse_tunnel_marks_" + device; }

/// Also where it is not there: one that has just been made can be deleted.
std::string removal_of(const std::string& name) { return "table " + name + " {}\ndelete table " + name + '\n'; }

std::string accept_excluded(const ClientSettings& settings) {
  std::string out;
  for (const Prefix& prefix : settings.exclude)
    out += std::string(prefix.address().is_v4() ? "ip" : "ip6") + " daddr " + prefix.to_string() + " accept\n";
  if (settings.exclude_mark != 0) out += "meta mark " + std::to_string(settings.exclude_mark) + " accept\n";
  return out;
}

}  // namespace

std::string kill_switch_rules(const ClientSettings& settings, std::uint32_t mark) {
  const std::string name = kill_switch_name(settings.device), device = '"' + settings.device + '"';
  std::string out = removal_of(name) + "table " + name + " {\n";
  out += "chain output { type filter hook output priority 0; policy drop;\n";
  out += "oifname { \"lo\", " + device + " } accept\n";
  out += "meta mark " + std::to_string(mark) + " accept\n" + accept_excluded(settings);
  // Without these there is no link that the server could be reached by.
  out += "udp sport 68 udp dport 67 accept\nudp sport 546 udp dport 547 accept\n";
  out += "icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert } accept\n}\n";
  out += "chain forward { type filter hook forward priority 0; policy drop;\n";
  out += "oifname " + device + " accept\niifname " + device + " accept\n" + accept_excluded(settings) + "}\n}\n";
  return out;
}

void put_kill_switch(Nft& nft, const ClientSettings& settings, std::uint32_t mark) {
  nft.run(kill_switch_rules(settings, mark));
}

void remove_kill_switch(Nft& nft, const std::string& device) { nft.run(removal_of(kill_switch_name(device))); }

void put_connection_marks(Nft& nft, const std::string& device, std::uint32_t mark) {
  const std::string name = marks_name(device), number = std::to_string(mark);
  nft.run(removal_of(name) + "table " + name + " {\n" +
          "chain out { type filter hook postrouting priority mangle;\nmeta mark " + number + " ct mark set " + number +
          "\n}\nchain in { type filter hook prerouting priority mangle;\nct mark " + number + " meta mark set " +
          number + "\n}\n}\n");
}

void remove_connection_marks(Nft& nft, const std::string& device) { nft.run(removal_of(marks_name(device))); }

}  // namespace gatehouse::packet_tunnel
