// Order of the checks: version, the IP header and what it chains, the transport header, and only then whether the
// lengths agree. So a short packet is counted for what is missing of it.
#include <gatehouse/packet/ip_packet.hpp>

#include <gatehouse/base/endian.hpp>
#include <gatehouse/packet/checksum.hpp>

#include <boost/system/system_error.hpp>

#include <algorithm>
#include <cstring>
#include <string>

namespace gatehouse {
namespace {

constexpr std::size_t kIp4Header = 20, kIp6Header = 40, kTcpHeader = 20, kUdpHeader = 8, kIcmpHeader = 8;
constexpr std::size_t kQuotedTransport = 8;  // what a quote has at least behind its IP headers (RFC 792)
enum Extension : std::uint8_t { kHopByHop = 0, kRouting = 43, kFragment = 44, kAuthentication = 51, kDestination = 60 };

/// How much has to be there.
enum class Of : std::uint8_t { packet, quote };

std::uint8_t byte_at(Bytes in, std::size_t at) noexcept { return std::to_integer<std::uint8_t>(in[at]); }
std::uint16_t word_at(Bytes in, std::size_t at) noexcept { return load_big<std::uint16_t>(in.subspan(at)); }

void set_fragment(IpPacket& out, unsigned offset, bool more) noexcept {
  out.fragment_offset = static_cast<std::uint16_t>(offset);
  out.more_fragments = more;
  out.is_fragment = offset != 0 || more;
}

/// `out.size` becomes what the header says.
PacketFault read_ip4(Bytes in, IpOptions options, IpPacket& out) noexcept {
  const std::size_t header = (byte_at(in, 0) & 0x0fU) * 4;
  if (header < kIp4Header || (header > kIp4Header && options == IpOptions::refused))
    return PacketFault::ip_header_options;
  if (in.size() < kIp4Header) return PacketFault::ip_packet_length;
  if (in.size() < header) return PacketFault::ip_header_options;
  out.version = 4;
  out.traffic_class = byte_at(in, 1);
  out.size = word_at(in, 2);
  out.fragment_id = word_at(in, 4);
  const unsigned fragment = word_at(in, 6);
  set_fragment(out, (fragment & 0x1fffU) * 8, (fragment & 0x2000U) != 0);
  out.ttl = byte_at(in, 8);
  out.protocol = byte_at(in, 9);
  out.transport = static_cast<std::uint16_t>(header);
  out.has_options = header > kIp4Header;
  return PacketFault::none;
}

/// Steps over extension headers from `out.transport` on, as long as `out.protocol` is one.
PacketFault walk_extensions(Bytes in, IpPacket& out) noexcept {
  constexpr auto kBad = PacketFault::ip_extension_headers;
  std::size_t at = kIp6Header;
  for (unsigned count = 0;; ++count) {
    const std::uint8_t kind = out.protocol;
    if (kind != kHopByHop && kind != kRouting && kind != kFragment && kind != kAuthentication && kind != kDestination) {
      out.transport = static_cast<std::uint16_t>(at);
      return PacketFault::none;
    }
    if (kind == kHopByHop && count > 0) return kBad;  // RFC 8200, section 4.1
    if (count == IpPacket::kMostExtensions || in.size() < at + 8) return kBad;
    const std::size_t length = byte_at(in, at + 1);
    const std::size_t size = kind == kFragment ? 8 : kind == kAuthentication ? (length + 2) * 4 : (length + 1) * 8;
    if (at + size > in.size() || at + size > kIp6Header + IpPacket::kMostExtensionBytes) return kBad;
    out.has_extensions = true;
    if (kind == kRouting && byte_at(in, at + 3) != 0) out.has_source_route = true;
    out.protocol = byte_at(in, at);
    if (kind == kFragment) {
      if (out.is_fragment) return kBad;
      const unsigned fragment = word_at(in, at + 2);
      set_fragment(out, fragment & 0xfff8U, (fragment & 1U) != 0);
      out.fragment_id = load_big<std::uint32_t>(in.subspan(at + 4));
      if (out.is_later_fragment()) {  // the rest of the chain is in the first one
        out.transport = static_cast<std::uint16_t>(at + size);
        return PacketFault::none;
      }
    }
    at += size;
  }
}

PacketFault read_ip6(Bytes in, IpPacket& out) noexcept {
  if (in.size() < kIp6Header) return PacketFault::ip_packet_length;
  out.version = 6;
  out.traffic_class = static_cast<std::uint8_t>(word_at(in, 0) >> 4);
  out.size = static_cast<std::uint32_t>(kIp6Header + word_at(in, 4));
  out.protocol = byte_at(in, 6);
  out.ttl = byte_at(in, 7);
  out.transport = kIp6Header;
  return walk_extensions(in, out);
}

/// @param in  from the transport header on; of a whole packet all headers are in it
/// @param whole_size  of header and payload, as the packet's own size says; `in` may be shorter
PacketFault read_transport(Bytes in, std::size_t whole_size, Of of, IpPacket& out) noexcept {
  std::size_t header = 0;
  if (out.is_tcp()) {
    if (in.size() < (of == Of::quote ? kQuotedTransport : kTcpHeader)) return PacketFault::tcp_packet_length;
    if (in.size() < kTcpHeader) {
      header = kTcpHeader;
    } else {
      header = (byte_at(in, 12) >> 4) * 4U;
      if (header < kTcpHeader) return PacketFault::tcp_packet_length;
      if (of == Of::packet && in.size() < header) return PacketFault::tcp_packet_length;
      out.tcp_flags = byte_at(in, 13);
    }
  } else if (out.is_udp()) {
    header = kUdpHeader;
    if (in.size() < header) return PacketFault::udp_packet_length;
    const std::size_t length = word_at(in, 4);
    if (length < header || (of == Of::packet && !out.is_fragment && length > whole_size))
      return PacketFault::udp_packet_length;
  } else if (out.is_icmp()) {
    header = kIcmpHeader;
    if (in.size() < header) return PacketFault::icmp_packet_length;
    out.icmp_type = byte_at(in, 0);
    out.icmp_code = byte_at(in, 1);
    if (out.is_icmp_echo()) out.icmp_id = word_at(in, 4);
  }
  if (out.is_tcp() || out.is_udp()) {
    out.source_port = word_at(in, 0);
    out.destination_port = word_at(in, 2);
  }
  out.payload = static_cast<std::uint16_t>(out.transport + header);
  return PacketFault::none;
}

/// @param size  of the packet; of a quote not known
PacketFault read(Bytes in, std::size_t size, Of of, IpOptions options, IpPacket& out) noexcept {
  if (in.empty() || size < in.size()) return PacketFault::ip_packet_length;
  const unsigned version = byte_at(in, 0) >> 4;
  if (version != 4 && version != 6) return PacketFault::ip_header_version;
  const PacketFault headers = version == 4 ? read_ip4(in, options, out) : read_ip6(in, out);
  if (headers != PacketFault::none) return headers;
  out.payload = out.transport;
  if (of == Of::quote) size = out.size;
  if (!out.is_later_fragment()) {
    const std::size_t whole = std::max<std::size_t>(size, out.transport) - out.transport;
    const PacketFault fault = read_transport(in.subspan(out.transport), whole, of, out);
    if (fault != PacketFault::none) return fault;
  }
  if (out.size != size || out.size < (of == Of::quote ? out.transport : out.payload))
    return PacketFault::ip_packet_length;
  return PacketFault::none;
}

}  // namespace

std::string_view reason_of(PacketFault fault) noexcept {
  switch (fault) {
    case PacketFault::none: return "none";
    case PacketFault::ip_packet_length: return "invalid_ip_packet_length";
    case PacketFault::ip_header_version: return "invalid_ip_header_version";
    case PacketFault::ip_header_options: return "invalid_ip_header_options";
    case PacketFault::ip_extension_headers: return "invalid_ip_extension_headers";
    case PacketFault::tcp_packet_length: return "invalid_tcp_packet_length";
    case PacketFault::udp_packet_length: return "invalid_udp_packet_length";
    case PacketFault::icmp_packet_length: return "invalid_icmp_packet_length";
  }
  return "none";
}

void throw_exception_from_error(const PacketFault& fault, const boost::source_location&) {
  throw boost::system::system_error(Errc::malformed, std::string(reason_of(fault)));
}

IpPacket::Parsed IpPacket::parse(Bytes headers, std::size_t size, IpOptions options) noexcept {
  Parsed out(IpPacket{});  // filled where it is: a copy right behind many small stores waits for them
  const PacketFault fault = read(headers, size, Of::packet, options, *out);
  if (fault != PacketFault::none) out = fault;
  return out;
}

IpPacket::Parsed IpPacket::parse_quoted(Bytes quote) noexcept {
  Parsed out(IpPacket{});
  const PacketFault fault = read(quote, quote.size(), Of::quote, IpOptions::accepted, *out);
  if (fault != PacketFault::none) out = fault;
  return out;
}

bool IpPacket::is_icmp_echo() const noexcept {
  if (!is_icmp() || is_later_fragment() || icmp_code != 0) return false;
  return version == 4 ? icmp_type == 8 || icmp_type == 0 : icmp_type == 128 || icmp_type == 129;
}

bool IpPacket::is_icmp_error() const noexcept {
  if (!is_icmp() || is_later_fragment()) return false;
  if (version == 6) return icmp_type >= 1 && icmp_type < 128;
  return icmp_type == 3 || icmp_type == 4 || icmp_type == 5 || icmp_type == 11 || icmp_type == 12;
}

IpAddress IpPacket::source_address(Bytes packet) const noexcept {
  return version == 4 ? IpAddress::v4(source(packet)) : IpAddress::v6(source(packet));
}

IpAddress IpPacket::destination_address(Bytes packet) const noexcept {
  return version == 4 ? IpAddress::v4(destination(packet)) : IpAddress::v6(destination(packet));
}

bool has_right_header_checksum(const IpPacket& facts, Bytes headers) noexcept {
  if (facts.version == 6) return true;
  std::uint64_t sum = 0;  // of a few words: here, rather than in a call
  for (std::size_t at = 0; at < facts.transport; at += 4) {
    std::uint32_t words;
    std::memcpy(&words, headers.data() + at, sizeof words);
    sum += words;
  }
  return fold_sum(sum) == 0xffff;
}

bool has_right_checksum(const IpPacket& facts, Bytes packet) noexcept {
  Bytes covered = packet.subspan(facts.transport);
  if (facts.is_udp()) {
    if (word_at(covered, 6) == 0 && facts.version == 4) return true;
    covered = covered.first(word_at(covered, 4));  // behind it may be UDP options (RFC 9868)
  } else if (!facts.is_tcp() && !facts.is_icmp()) {
    return true;
  }
  std::uint64_t sum = sum_words(covered);
  if (facts.protocol != kIcmp4)
    sum += pseudo_header_sum(facts.source(packet), facts.destination(packet), facts.protocol,
                             static_cast<std::uint32_t>(covered.size()));
  return fold_sum(sum) == 0xffff;
}

}  // namespace gatehouse
