#include "plugins/packet-tunnel/server/nat_table.hpp"

#include "plugins/packet-tunnel/common/host_error.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <sstream>

namespace gatehouse::packet_tunnel {
namespace {

constexpr int kTries = 3;  // Docker may change its rules between our look and our transaction
/// Clients whose connections are counted at a time. Who finds the set full is let through uncounted. The kernel takes
/// memory for those that are there, and drops an entry once its last connection is gone.
constexpr std::string_view kCountedClients = "1048576";
constexpr std::string_view kIptables = "filter", kForward = "FORWARD", kDockerUser = "DOCKER-USER";

/// A name as nftables reads it: it must not end the quotes, nor be a pattern.
std::string in_rule(const std::string& interface) {
  const auto is_plain = [](unsigned char c) {
    return std::isalnum(c) != 0 || std::string_view("_-.:@").find(c) != std::string_view::npos;
  };
  if (!interface.empty() && std::ranges::all_of(interface, is_plain)) return '"' + interface + '"';
  throw HostError("\"" + interface +
                  "\" cannot stand in a rule: a name of an interface there has letters, digits and _-.:@");
}

/// How our rules in tables of others are found again.
std::string mark_of(const std::string& device) { return "comment \"gatehouse: tunnel " + device + "\""; }

bool is_of_iptables(const ForwardChain& chain) noexcept {
  return (chain.family == "ip" || chain.family == "ip6") && chain.table == kIptables &&
         (chain.chain == kForward || chain.chain == kDockerUser);
}

/// Should our rules stand in there? In FORWARD where it drops by policy, and in DOCKER-USER before it.
bool is_to_open(const ForwardChain& chain, const std::vector<ForwardChain>& all) noexcept {
  return is_of_iptables(chain) && std::ranges::any_of(all, [&](const ForwardChain& other) {
           return other.family == chain.family && other.table == chain.table && other.chain == kForward && other.drops;
         });
}

std::string path_of(const ForwardChain& chain) { return chain.family + " " + chain.table + " " + chain.chain; }

/// The handles of our rules in what `nft list chain` prints with handles.
std::vector<std::string> marked_handles(const std::string& listing, const std::string& mark) {
  constexpr std::string_view kHandle = "# handle ";
  std::vector<std::string> out;
  std::istringstream lines(listing);
  for (std::string line; std::getline(lines, line);) {
    const auto handle = line.rfind(kHandle);
    if (line.find(mark) != line.npos && handle != line.npos) out.push_back(line.substr(handle + kHandle.size()));
  }
  return out;
}

/// Per chain of iptables, the handles of our rules.
struct MarkedRules {
  ForwardChain chain;
  std::vector<std::string> handles;
};

std::vector<MarkedRules> find_marked(Nft& nft, const std::vector<ForwardChain>& chains, const std::string& device) {
  std::vector<MarkedRules> out;
  for (const ForwardChain& chain : chains)
    if (is_of_iptables(chain))
      out.push_back({chain, marked_handles(nft.run("list chain " + path_of(chain)), mark_of(device))});
  return out;
}

std::string deletion(const std::vector<MarkedRules>& marked) {
  std::string out;
  for (const MarkedRules& rules : marked)
    for (const std::string& handle : rules.handles)
      out += "delete rule " + path_of(rules.chain) + " handle " + handle + "\n";
  return out;
}

std::string replace_table(const std::string& table) {
  return "table inet " + table + "\ndelete table inet " + table + "\n";
}

/// Runs what `make_text` makes until the rules that it names are still there when it comes to it.
template <class MakeText>
void run_steadily(Nft& nft, MakeText make_text) {
  for (int tries = 1;; ++tries) {
    try {
      nft.run(make_text());
      return;
    } catch (const HostError& error) {
      const bool is_race = std::string_view(error.what()).find("No such file or directory") != std::string_view::npos;
      if (!is_race || tries == kTries) throw;
    }
  }
}

/// iptables-legacy keeps rules that nftables does not show.
bool has_legacy_filter() {
  std::FILE* const file = std::fopen("/proc/net/ip_tables_names", "re");
  if (file == nullptr) return false;
  std::array<char, 64> line;
  bool found = false;
  while (std::fgets(line.data(), line.size(), file) != nullptr) found |= std::string_view(line.data()) == "filter\n";
  std::fclose(file);
  return found;
}

/// How the connections of one family are counted by client, and those refused that are too many.
struct ConnectionBound {
  std::string_view set, type, source;
};
constexpr ConnectionBound kBounds[] = {{"held4", "ipv4_addr", "ip saddr"}, {"held6", "ipv6_addr", "ip6 saddr"}};

std::string set_text(const ConnectionBound& bound) {
  return "  set " + std::string(bound.set) + " {\n    type " + std::string(bound.type) + "\n    size " +
         std::string(kCountedClients) + "\n    flags dynamic\n  }\n";
}

std::string rule_text(const ConnectionBound& bound, const std::string& device, std::uint32_t most) {
  return "    iifname " + device + " ct state new add @" + std::string(bound.set) + " { " + std::string(bound.source) +
         " ct count over " + std::to_string(most) + " } counter drop\n";
}

}  // namespace

std::string nat_table_name(const std::string& device) {
  if (device == kDefaultDevice) return "gatehouse";
  std::string out = "gatehouse_" + device;
  std::ranges::replace_if(
      out, [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return out;
}

std::string nat_table_text(const NatSettings& settings, const TunnelPrefixes& prefixes) {
  const std::string device = in_rule(settings.device);
  const std::string table = nat_table_name(settings.device);
  const std::string out = settings.egress_interface.empty() ? "!= " + device : in_rule(settings.egress_interface);
  std::string text = replace_table(table) + "table inet " + table + " {\n";
  const std::uint32_t most = settings.connections_per_client;
  if (most != 0)
    for (const ConnectionBound& bound : kBounds) text += set_text(bound);
  if (settings.mark)
    text +=
        "  chain prerouting {\n    type filter hook prerouting priority mangle; policy accept;\n"
        "    iifname " +
        device + " meta mark set " + std::to_string(*settings.mark) + "\n  }\n";
  text += "  chain forward {\n    type filter hook forward priority filter; policy accept;\n";
  if (!settings.egress_interface.empty())
    text += "    iifname " + device + " oifname != " + out + " reject with icmpx type admin-prohibited\n";
  // What the kernel takes for invalid, it does not translate: it would leave with the client's address in here.
  text += "    iifname " + device + " ct state invalid drop\n";
  // All clients share the ports of the host's address: one alone must not take those towards a server, nor the kernel's
  // table of connections.
  if (most != 0)
    for (const ConnectionBound& bound : kBounds) text += rule_text(bound, device, most);
  // Behind the translation nobody reaches a client but by an answer. What the kernel can tell no connection of, such as
  // a stray reset or an error about somebody's packet, is none: it would be one of those of a client to us.
  text += "    oifname " + device + " ct state != { established, related } drop\n";
  for (const char* direction : {"iifname ", "oifname "})
    text += "    " + (direction + device) + " tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu\n";
  text +=
      "  }\n  chain postrouting {\n    type nat hook postrouting priority srcnat; policy accept;\n"
      "    ip saddr " +
      prefixes.v4().to_string() + " oifname " + out + " masquerade\n";
  if (prefixes.v6()) text += "    ip6 saddr " + prefixes.v6()->to_string() + " oifname " + out + " masquerade\n";
  return text + "  }\n}\n";
}

std::vector<ForwardChain> parse_forward_chains(const std::string& listing) {
  std::vector<ForwardChain> out;
  ForwardChain at;
  std::istringstream lines(listing);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string word;
    words >> word;
    if (word == "table") {
      words >> at.family >> at.table;
    } else if (word == "chain") {
      words >> at.chain;
      if (const ForwardChain user{at.family, at.table, at.chain, false};
          at.chain == kDockerUser && is_of_iptables(user))
        out.push_back(user);
    } else if (word == "type" && line.find(" hook forward ") != line.npos && line.find("type filter ") != line.npos) {
      out.push_back({at.family, at.table, at.chain, line.find("policy drop;") != line.npos});
    }
  }
  return out;
}

NatTable::NatTable(const NatSettings& settings, const TunnelPrefixes& prefixes)
    : settings_(settings), prefixes_(prefixes) {
  make();
}

NatTable::~NatTable() {
  if (kept_) return;
  try {
    run_steadily(nft_, [this] {
      const auto marked = find_marked(nft_, parse_forward_chains(nft_.run("list chains")), settings_.device);
      return deletion(marked) + replace_table(nat_table_name(settings_.device));
    });
  } catch (const std::exception&) {
    // The next start finds what is left, and replaces it.
  }
}

void NatTable::make() {
  notes_.clear();
  const std::string device = in_rule(settings_.device), mark = mark_of(settings_.device);
  std::vector<ForwardChain> chains;
  run_steadily(nft_, [&] {
    chains = parse_forward_chains(nft_.run("list chains"));
    std::string text = deletion(find_marked(nft_, chains, settings_.device)) + nat_table_text(settings_, prefixes_);
    for (const ForwardChain& chain : chains)
      if (is_to_open(chain, chains))
        for (const char* direction : {" iifname ", " oifname "})
          text += "insert rule " + path_of(chain) + direction + device + " counter accept " + mark + "\n";
    return text;
  });
  for (const ForwardChain& chain : chains)
    if (chain.drops && !is_of_iptables(chain))
      notes_.push_back("the nftables chain " + path_of(chain) +
                       " drops what is forwarded unless a rule accepts it: add " + "`iifname " + device +
                       " accept` and `oifname " + device + " accept` there, or clients reach nothing");
  if (has_legacy_filter())
    notes_.push_back(
        "this host has rules of iptables-legacy, which are not looked at: where its FORWARD chain drops, "
        "accept " +
        settings_.device + " there (iptables-legacy -I FORWARD -i " + settings_.device +
        " -j ACCEPT, and the same with -o)");
}

bool NatTable::restore() {
  const std::string listing = nft_.run("list chains");
  const auto chains = parse_forward_chains(listing);
  const bool has_table = std::ranges::any_of(chains, [this](const ForwardChain& chain) {
    return chain.family == "inet" && chain.table == nat_table_name(settings_.device);
  });
  const auto marked = find_marked(nft_, chains, settings_.device);
  const bool has_rules = std::ranges::all_of(marked, [&](const MarkedRules& rules) {
    return rules.handles.size() == (is_to_open(rules.chain, chains) ? 2 : 0);
  });
  if (has_table && has_rules) return false;
  make();
  return true;
}

}  // namespace gatehouse::packet_tunnel
