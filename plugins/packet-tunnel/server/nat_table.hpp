// The nftables rules of one tunnel: a table of its own, and, where a host's firewall drops what it forwards as Docker
// has it, two rules in there that are marked as ours.
#pragma once

#include "plugins/packet-tunnel/common/nft.hpp"
#include "plugins/packet-tunnel/server/tunnel_prefixes.hpp"

#include <optional>
#include <string>
#include <vector>

namespace gatehouse::packet_tunnel {

inline constexpr std::string_view kDefaultDevice = "gatehouse0";

struct NatSettings {
  std::string device;              ///< the tunnel's
  std::string egress_interface{};  ///< clients' packets leave by this one only, others are rejected; "": by whichever
                                   ///< the routes say
  std::optional<std::uint32_t> mark{};       ///< what clients' packets are marked with before they are routed
  std::uint32_t connections_per_client = 0;  ///< that the kernel tracks, of each family; 0: no bound
};

/// The table's name: "gatehouse" for kDefaultDevice, else "gatehouse_DEVICE", so that two gateways of one host do not
/// fight.
[[nodiscard]] std::string nat_table_name(const std::string& device);

/// The text that makes the table, in place of one that is there. Pure.
[[nodiscard]] std::string nat_table_text(const NatSettings& settings, const TunnelPrefixes& prefixes);

/// A base chain that decides about forwarded packets.
struct ForwardChain {
  std::string family, table, chain;  ///< "ip", "filter", "FORWARD"
  bool drops = false;                ///< by its policy

  bool operator==(const ForwardChain&) const = default;
};

/// Those in what `nft list chains` prints; of iptables' tables (ip filter, ip6 filter) also DOCKER-USER. Pure.
[[nodiscard]] std::vector<ForwardChain> parse_forward_chains(const std::string& listing);

/// Control threads only. Needs CAP_NET_ADMIN and nf_tables.
class NatTable {
 public:
  /// Makes everything in one transaction; what an earlier run has left is replaced, so that established connections
  /// never meet a moment without their rules. @throws HostError  and nothing is changed
  NatTable(const NatSettings& settings, const TunnelPrefixes& prefixes);
  /// Removes everything, unless keep() was called.
  ~NatTable();
  NatTable(const NatTable&) = delete;
  NatTable& operator=(const NatTable&) = delete;

  /// Leaves the rules where they are when this goes: another instance goes on with them.
  void keep() noexcept { kept_ = true; }

  /// What the operator should know: a firewall that drops what is forwarded and that we must not open by ourselves.
  [[nodiscard]] const std::vector<std::string>& notes() const noexcept { return notes_; }

  /// Makes again what somebody has removed since (`nft flush ruleset`), and opens a firewall that has come since
  /// (Docker started later). Milliseconds: some times a minute. @throws HostError
  /// @return whether there was something to do
  bool restore();

 private:
  void make();

  Nft nft_;
  NatSettings settings_;
  TunnelPrefixes prefixes_;
  std::vector<std::string> notes_;
  bool kept_ = false;
};

}  // namespace gatehouse::packet_tunnel
