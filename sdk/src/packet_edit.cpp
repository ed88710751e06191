#include <gatehouse/packet/packet_edit.hpp>

#include <gatehouse/packet/checksum.hpp>

#include <cassert>
#include <cstring>
#include <optional>

namespace gatehouse {
namespace {

constexpr std::size_t kIp4Source = 12, kIp4Destination = 16, kIp6Source = 8, kIp6Destination = 24;
constexpr std::size_t kIp4Checksum = 10;

ChecksumField field_at(MutableBytes in, std::size_t at) noexcept { return in.subspan(at).first<2>(); }

/// Where the transport checksum is, from the transport header on, and none for protocols whose checksum does not cover
/// the addresses.
std::optional<std::size_t> checksum_offset(const IpPacket& facts) noexcept {
  if (!facts.has_transport_header()) return {};
  if (facts.is_tcp()) return 16;
  if (facts.is_udp()) return 6;
  if (facts.protocol == kIcmp6 && facts.version == 6) return 2;
  return {};
}

/// Of 4 or 16 bytes: here, rather than in a call.
std::uint64_t sum_of_address(Bytes address) noexcept {
  std::uint64_t sum = 0;
  for (std::size_t at = 0; at < address.size(); at += 4) {
    std::uint32_t words;
    std::memcpy(&words, address.data() + at, sizeof words);
    sum += words;
  }
  return sum;
}

enum class Side : bool { source, destination };

std::size_t address_at(const IpPacket& facts, Side side) noexcept {
  if (facts.version == 4) return side == Side::source ? kIp4Source : kIp4Destination;
  return side == Side::source ? kIp6Source : kIp6Destination;
}

void rewrite(MutableBytes headers, const IpPacket& facts, Side side, const IpAddress& to, bool partial) noexcept {
  const Bytes changed = to.bytes();
  assert(to.is_v4() == (facts.version == 4) && !changed.empty());
  const MutableBytes address = headers.subspan(address_at(facts, side), changed.size());
  const std::uint64_t old_sum = sum_of_address(address), new_sum = sum_of_address(changed);
  std::memcpy(address.data(), changed.data(), changed.size());
  if (facts.version == 4) adjust_checksum(field_at(headers, kIp4Checksum), old_sum, new_sum);

  const auto offset = checksum_offset(facts);
  if (!offset) return;
  const ChecksumField field = field_at(headers, facts.transport + *offset);
  if (partial) {
    adjust_partial_checksum(field, old_sum, new_sum);
  } else if (facts.is_udp()) {
    adjust_udp_checksum(field, old_sum, new_sum);
  } else {
    adjust_checksum(field, old_sum, new_sum);
  }
}

/// Where the error's own checksum covers the quote, as it does in either family.
void rewrite_quoted(MutableBytes packet, const IpPacket& facts, const IpPacket& quoted, Side side,
                    const IpAddress& to) noexcept {
  const MutableBytes quote = packet.subspan(facts.payload);
  // What changes: the address, the header's checksum, the transport's; the last only where the quote has it all.
  const std::size_t size = to.bytes().size();
  const auto offset = checksum_offset(quoted);
  const bool has_checksum = offset && quote.size() >= quoted.transport + *offset + 2;
  const auto sum = [&] {
    std::uint64_t out = sum_of_address(quote.subspan(address_at(quoted, side), size));
    if (quoted.version == 4) out += load_checksum(field_at(quote, kIp4Checksum));
    if (has_checksum) out += load_checksum(field_at(quote, quoted.transport + *offset));
    return out;
  };
  IpPacket without = quoted;
  if (!has_checksum) without.protocol = 0;  // its headers' checksum alone
  const std::uint64_t before = sum();
  rewrite(quote, without, side, to, false);
  adjust_checksum(field_at(packet, facts.transport + 2U), before, sum());
}

}  // namespace

void rewrite_source(MutableBytes headers, const IpPacket& facts, const IpAddress& to, bool partial_checksum) noexcept {
  rewrite(headers, facts, Side::source, to, partial_checksum);
}

void rewrite_destination(MutableBytes headers, const IpPacket& facts, const IpAddress& to,
                         bool partial_checksum) noexcept {
  rewrite(headers, facts, Side::destination, to, partial_checksum);
}

void rewrite_quoted_source(MutableBytes packet, const IpPacket& facts, const IpPacket& quoted,
                           const IpAddress& to) noexcept {
  rewrite_quoted(packet, facts, quoted, Side::source, to);
}

void rewrite_quoted_destination(MutableBytes packet, const IpPacket& facts, const IpPacket& quoted,
                                const IpAddress& to) noexcept {
  rewrite_quoted(packet, facts, quoted, Side::destination, to);
}

bool mark_congestion(MutableBytes headers, IpPacket& facts) noexcept {
  constexpr std::uint8_t kCongestion = 3;
  if (facts.ecn() == 0) return false;
  const MutableBytes front = headers.first(2);
  const std::uint64_t before = sum_words(front);
  facts.traffic_class |= kCongestion;
  if (facts.version == 4) {
    front[1] |= std::byte{kCongestion};
    adjust_checksum(field_at(headers, kIp4Checksum), before, sum_words(front));
  } else {
    front[1] |= std::byte{kCongestion << 4};  // the class lies across both bytes
  }
  return true;
}

}  // namespace gatehouse
