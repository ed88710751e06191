// What the headers of one IP packet say, as offsets and numbers: the packet may be moved or copied, the facts stay
// true. IPv4 with options, IPv6 with extension headers, fragments; TCP, UDP, ICMP and whatever else in outline.
#pragma once

#include <gatehouse/base/address.hpp>
#include <gatehouse/base/bytes.hpp>

#include <boost/system/result.hpp>

#include <cstdint>
#include <string_view>

namespace gatehouse {

/// Numbers of upper-layer protocols (IANA), as far as anything here depends on them.
enum IpProtocol : std::uint8_t {
  kIcmp4 = 1,   ///< RFC 792
  kTcp = 6,     ///< RFC 9293
  kUdp = 17,    ///< RFC 768
  kIcmp6 = 58,  ///< RFC 4443
};

/// Bits of a TCP header's flags (RFC 9293, 3.1).
enum TcpFlag : std::uint8_t {
  kTcpFin = 0x01,  ///< the sender has no more
  kTcpSyn = 0x02,  ///< a connection begins
  kTcpRst = 0x04,  ///< it is over, or never was
  kTcpPsh = 0x08,  ///< give what there is to the reader
  kTcpAck = 0x10,  ///< the acknowledgement number counts
  kTcpUrg = 0x20,  ///< the urgent pointer counts
  kTcpEce = 0x40,  ///< congestion was met (RFC 3168)
  kTcpCwr = 0x80,  ///< and was answered by a smaller window (RFC 3168)
};

/// Why a packet's headers cannot be believed, in the order in which they are looked at; the first one is told.
enum class PacketFault : std::uint8_t {
  none,                  ///< they can
  ip_packet_length,      ///< empty, shorter than its IP header, or not as long as that says; jumbograms
  ip_header_version,     ///< neither 4 nor 6
  ip_header_options,     ///< IPv4: a header length below 20, or options beyond the packet
  ip_extension_headers,  ///< IPv6: too many, beyond the packet, or hop-by-hop anywhere but first
  tcp_packet_length,     ///< no whole TCP header, or a data offset below 5
  udp_packet_length,     ///< no whole UDP header, or a UDP length that is not possible here
  icmp_packet_length,    ///< no whole ICMP header
};

/// "invalid_ip_packet_length" and so on, for counters: never renamed. "none" for none.
[[nodiscard]] std::string_view reason_of(PacketFault fault) noexcept;

/// What value() of a parsed packet that has a fault ends in: boost::system::system_error with Errc::malformed. For
/// tests; the packet path looks first.
[[noreturn]] void throw_exception_from_error(const PacketFault& fault, const boost::source_location& at);

/// What becomes of IPv4 packets with options.
enum class IpOptions : bool {
  accepted,  ///< they are skipped
  refused,   ///< PacketFault::ip_header_options
};

/// A value of some 40 bytes; nothing in it points anywhere.
struct IpPacket {
  /// The most that is walked of IPv6 extension headers.
  static constexpr unsigned kMostExtensions = 8;
  static constexpr std::size_t kMostExtensionBytes = 512;  ///< and of all of them together

  std::uint8_t version = 0;            ///< 4 or 6
  std::uint8_t protocol = 0;           ///< of the upper layer; in later IPv6 fragments what the fragment header names
  std::uint8_t traffic_class = 0;      ///< DSCP and ECN
  std::uint8_t ttl = 0;                ///< or hop limit
  std::uint16_t transport = 0;         ///< offset of what follows the IP headers, in bytes
  std::uint16_t payload = 0;           ///< offset behind the transport header; = transport where none is known or here
  std::uint32_t size = 0;              ///< of the whole packet, in bytes
  std::uint16_t source_port = 0;       ///< host byte order; 0 but for TCP and UDP, and in later fragments
  std::uint16_t destination_port = 0;  ///< the same
  std::uint8_t tcp_flags = 0;          ///< TcpFlag
  std::uint8_t icmp_type = 0;          ///< of ICMP and ICMPv6, but for later fragments
  std::uint8_t icmp_code = 0;          ///< the same
  bool has_options = false;            ///< IPv4 with more than 20 bytes of header
  bool has_extensions = false;         ///< IPv6 with any extension header
  bool has_source_route = false;       ///< IPv6 routing header with segments left: the destination is not the last one
  bool is_fragment = false;            ///< not the whole of its packet
  bool more_fragments = false;         ///< nor its end
  std::uint16_t icmp_id = 0;           ///< of an echo, host byte order
  std::uint16_t fragment_offset = 0;   ///< in bytes
  std::uint32_t fragment_id = 0;       ///< IPv4: of every packet; IPv6: of fragments

  /// The facts, or the first fault.
  using Parsed = boost::system::result<IpPacket, PacketFault>;

  /// Reads the headers at the front of a packet. Never reads beyond `headers`. Some 10 ns.
  /// @param headers  the packet, or as much of its front as holds all headers: the payload may lie elsewhere
  /// @param size     of the whole packet in bytes: as many as headers.size(), or more; held against what the IP header
  ///                 says
  /// @param options  refused: PacketFault::ip_header_options for any, before lengths are looked at
  [[nodiscard]] static Parsed parse(Bytes headers, std::size_t size, IpOptions options = IpOptions::accepted) noexcept;
  /// The same for a packet that is at hand as a whole.
  [[nodiscard]] static Parsed parse(Bytes packet, IpOptions options = IpOptions::accepted) noexcept {
    return parse(packet, packet.size(), options);
  }

  /// As parse(), for the packet that an ICMP error quotes, which may end anywhere behind its transport header's first
  /// 8 bytes; `size` is what its IP header says, and `payload` may lie beyond the quote.
  [[nodiscard]] static Parsed parse_quoted(Bytes quote) noexcept;

  /// Is the transport header in this packet: not in a later fragment.
  [[nodiscard]] bool has_transport_header() const noexcept { return fragment_offset == 0; }
  [[nodiscard]] bool is_first_fragment() const noexcept { return is_fragment && fragment_offset == 0; }
  [[nodiscard]] bool is_later_fragment() const noexcept { return fragment_offset != 0; }
  [[nodiscard]] bool is_tcp() const noexcept { return protocol == kTcp; }
  [[nodiscard]] bool is_udp() const noexcept { return protocol == kUdp; }
  [[nodiscard]] bool is_icmp() const noexcept { return protocol == (version == 4 ? kIcmp4 : kIcmp6); }
  [[nodiscard]] bool is_icmp_echo() const noexcept;  ///< request or reply
  /// An error of RFC 792 or RFC 4443, one that quotes a packet, behind `payload`.
  [[nodiscard]] bool is_icmp_error() const noexcept;
  [[nodiscard]] std::uint8_t dscp() const noexcept { return traffic_class >> 2; }
  [[nodiscard]] std::uint8_t ecn() const noexcept { return traffic_class & 3; }
  [[nodiscard]] std::size_t transport_size() const noexcept { return size - transport; }  ///< header and payload
  [[nodiscard]] std::size_t payload_size() const noexcept { return size - payload; }

  /// Addresses as they stand in `packet`, whose facts these are: 4 or 16 bytes.
  [[nodiscard]] Bytes source(Bytes packet) const noexcept {
    return version == 4 ? packet.subspan(12, 4) : packet.subspan(8, 16);
  }
  /// The same of the destination.
  [[nodiscard]] Bytes destination(Bytes packet) const noexcept {
    return version == 4 ? packet.subspan(16, 4) : packet.subspan(24, 16);
  }
  /// The same as a value.
  [[nodiscard]] IpAddress source_address(Bytes packet) const noexcept;
  /// The same of the destination, as a value.
  [[nodiscard]] IpAddress destination_address(Bytes packet) const noexcept;

  bool operator==(const IpPacket&) const = default;
};

/// Does the IPv4 header's checksum hold? IPv6 has none: true.
[[nodiscard]] bool has_right_header_checksum(const IpPacket& facts, Bytes headers) noexcept;

/// Does the transport checksum hold? `packet` is whole and not a fragment. UDP without one, and protocols that are not
/// TCP, UDP or ICMP: true. Reads the whole packet.
[[nodiscard]] bool has_right_checksum(const IpPacket& facts, Bytes packet) noexcept;

}  // namespace gatehouse
