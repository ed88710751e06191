// New addresses in a packet, with every checksum that covers them kept right by the difference alone (RFC 1624): what a
// payload has of errors stays detectable. Pure; some ns a packet.
#pragma once

#include <gatehouse/base/address.hpp>
#include <gatehouse/base/bytes.hpp>
#include <gatehouse/packet/ip_packet.hpp>

namespace gatehouse {

/// Puts `to` in the place of the source address and adjusts the IPv4 header's checksum and, where this packet holds the
/// transport header, that of TCP, UDP or ICMPv6. A UDP checksum of 0 over IPv4 stays 0. A later fragment has no such
/// checksum: nothing of its payload is touched.
/// @param headers  the packet, or its front with all headers, that `facts` were read from
/// @param to       of the packet's own family
/// @param partial_checksum  the transport checksum is partial (OffloadHeader::needs_checksum)
void rewrite_source(MutableBytes headers, const IpPacket& facts, const IpAddress& to, bool partial_checksum) noexcept;

/// As rewrite_source, for the destination. (An IPv6 routing header with segments left names another last destination,
/// which the transport checksum covers in its place: such packets are to be refused before.)
void rewrite_destination(MutableBytes headers, const IpPacket& facts, const IpAddress& to,
                         bool partial_checksum) noexcept;

/// New addresses in the packet that an ICMP error quotes: the quote's own checksums are adjusted as far as they are in
/// it, and so is that of the error. Its own addresses are another matter.
/// @param packet  a whole packet with a whole checksum; `facts.is_icmp_error()`
/// @param quoted  IpPacket::parse_quoted(packet.subspan(facts.payload))
/// @param to      of the quoted packet's family
void rewrite_quoted_source(MutableBytes packet, const IpPacket& facts, const IpPacket& quoted,
                           const IpAddress& to) noexcept;
/// The same of the quoted packet's destination.
void rewrite_quoted_destination(MutableBytes packet, const IpPacket& facts, const IpPacket& quoted,
                                const IpAddress& to) noexcept;

/// Sets the two ECN bits to "congestion experienced" if the packet says that its ends understand it, and keeps the IPv4
/// header's checksum right.
/// @return false: ECN is not spoken here, drop a packet instead
[[nodiscard]] bool mark_congestion(MutableBytes headers, IpPacket& facts) noexcept;

}  // namespace gatehouse
