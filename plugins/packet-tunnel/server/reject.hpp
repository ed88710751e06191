// Why a packet went no further. The first fifteen names are the reference's, and mean what they mean there.
#pragma once

#include <gatehouse/base/reason.hpp>
#include <gatehouse/packet/ip_packet.hpp>

#include <array>
#include <cstdint>
#include <string_view>

namespace gatehouse::packet_tunnel {

enum class Reject : std::uint8_t {
  no_session,                   ///< down: nobody has this address
  no_client,                    ///< down: its session waits for its client
  no_original_address,          ///< down: the client has sent nothing of this family yet
  invalid_destination_address,  ///< a hard denial, a bogon, another client
  invalid_ip_packet_length,     ///< of the frame, or of the header
  invalid_ip_header_version,
  invalid_ip_header_options,   ///< of IPv4
  invalid_ip_header_protocol,  ///< neither TCP, UDP nor what is relayed of ICMP; IPv6 extension headers but a
                               ///< fragment's
  invalid_tcp_packet_length,
  invalid_udp_packet_length,
  disallowed_tcp_destination_port,  ///< by a row of policy, or by its default; port 0
  disallowed_udp_destination_port,
  no_dns_resolvers,  ///< of the family that was asked by
  invalid_dns_message,
  disallowed_domain,
  // ---- ours
  invalid_icmp_message,  ///< neither an echo nor an error that belongs to a flow
  disallowed_icmp,       ///< by a row of policy, or by its default
  no_ipv6,               ///< the tunnel carries none
  no_first_fragment,     ///< a later one whose first was refused, or has not come
  fragment_limit,        ///< up: too many packets whose fragments have not all come
  split_dns_message,     ///< DNS over TCP: a segment that does not hold whole messages, where names are judged
  flow_limit,            ///< a traffic rule on flows
  rate,                  ///< a traffic rule on bytes a second
  quota,                 ///< a traffic rule on bytes a day or month
  too_big,               ///< more than the tunnel's MTU; up: segments of a super-packet
  queue_full,            ///< down: the client does not read fast enough
  early,                 ///< down: the same, told by a lost packet before the queue is full (CoDel)
  memory,                ///< down: all clients together have too much that waits
  stream_ended,          ///< down: waited when the client went
  device,                ///< up: the kernel did not take it
  count
};
inline constexpr std::size_t kRejects = static_cast<std::size_t>(Reject::count);

inline constexpr std::array<std::string_view, kRejects> kRejectNames = {
    "no_session",
    "no_client",
    "no_original_address",
    "invalid_destination_address",
    "invalid_ip_packet_length",
    "invalid_ip_header_version",
    "invalid_ip_header_options",
    "invalid_ip_header_protocol",
    "invalid_tcp_packet_length",
    "invalid_udp_packet_length",
    "disallowed_tcp_destination_port",
    "disallowed_udp_destination_port",
    "no_dns_resolvers",
    "invalid_dns_message",
    "disallowed_domain",
    "invalid_icmp_message",
    "disallowed_icmp",
    "no_ipv6",
    "no_first_fragment",
    "fragment_limit",
    "split_dns_message",
    "flow_limit",
    "rate",
    "quota",
    "too_big",
    "queue_full",
    "early",
    "memory",
    "stream_ended",
    "device",
};
[[nodiscard]] constexpr std::string_view to_text(Reject reject) noexcept {
  return kRejectNames[static_cast<std::size_t>(reject)];
}

[[nodiscard]] constexpr Reject reject_of(PacketFault fault) noexcept {
  switch (fault) {
    case PacketFault::ip_header_version: return Reject::invalid_ip_header_version;
    case PacketFault::ip_header_options: return Reject::invalid_ip_header_options;
    case PacketFault::ip_extension_headers: return Reject::invalid_ip_header_protocol;
    case PacketFault::tcp_packet_length: return Reject::invalid_tcp_packet_length;
    case PacketFault::udp_packet_length: return Reject::invalid_udp_packet_length;
    case PacketFault::icmp_packet_length: return Reject::invalid_icmp_message;
    case PacketFault::none:
    case PacketFault::ip_packet_length: break;
  }
  return Reject::invalid_ip_packet_length;
}

/// Of a verdict that says no to a flow of that protocol.
[[nodiscard]] constexpr Reject reject_of(Reason reason, std::uint8_t protocol) noexcept {
  switch (reason) {
    case Reason::hard_deny:
    case Reason::bogon:
    case Reason::unwrapped: return Reject::invalid_destination_address;
    case Reason::domain: return Reject::disallowed_domain;
    case Reason::dns_malformed: return Reject::invalid_dns_message;
    case Reason::concurrent_flows:
    case Reason::new_flow_rate:
    case Reason::destinations: return Reject::flow_limit;
    case Reason::quota: return Reject::quota;
    default: break;
  }
  return protocol == kTcp   ? Reject::disallowed_tcp_destination_port
         : protocol == kUdp ? Reject::disallowed_udp_destination_port
                            : Reject::disallowed_icmp;
}

}  // namespace gatehouse::packet_tunnel
