// What the client does with single packets: those that the server would refuse are answered here, and queries to the
// address that programs have for their resolver go to the gateway's. Pure; some ns a packet.
#pragma once

#include "plugins/packet-tunnel/client/settings.hpp"
#include "plugins/packet-tunnel/common/dns_address.hpp"

#include <gatehouse/packet/ip_packet.hpp>

namespace gatehouse::packet_tunnel {

class PacketRules {
 public:
  enum class Verdict : std::uint8_t {
    pass,
    drop,    ///< nobody waits for an answer: multicast, broadcast, what belongs to the link
    refuse,  ///< its sender is to be told
  };

  /// @param dns  where programs send queries; of two of a family the first counts
  /// @param own  the device's addresses; of a family without one every source passes
  PacketRules(const std::vector<IpAddress>& dns, const std::vector<DeviceAddress>& own) noexcept;

  /// The server has IPv6, or has none: then every packet of it is refused.
  void set_ipv6(bool is_there) noexcept { has_ipv6_ = is_there; }

  /// What to do with a packet of the device. One that passes is rewritten where it is a query.
  /// @param headers  the packet, or its front with all headers @param is_partial  OffloadHeader::needs_checksum
  [[nodiscard]] Verdict judge(MutableBytes headers, const IpPacket& facts, bool is_partial) const noexcept;

  /// May what the server sends come to this host? To the device's own address only, and no ICMP but echoes and errors:
  /// a router advertisement would give the server this host's default route, another address its other services.
  [[nodiscard]] bool may_come(Bytes packet, const IpPacket& facts) const noexcept;
  /// A packet for the device: an answer comes from where the query went to.
  void rewrite_answer(MutableBytes headers, const IpPacket& facts, bool is_partial) const noexcept;

 private:
  struct OfFamily {
    IpAddress dns, gateway, own;
    bool is_rewritten = false;
  };
  [[nodiscard]] const OfFamily& of(const IpPacket& facts) const noexcept { return facts.version == 4 ? v4_ : v6_; }

  OfFamily v4_, v6_;
  bool has_ipv6_ = true;
};

}  // namespace gatehouse::packet_tunnel
