#include "plugins/geneve-relay/wire/geneve_header.hpp"

#include "plugins/geneve-relay/wire/disco_envelope.hpp"

#include <gatehouse/base/endian.hpp>

namespace gatehouse::geneve_relay {
namespace {

constexpr std::uint8_t kControlBit = 0x80, kOptionLengthBits = 0x3f;
constexpr std::size_t kStunHeaderSize = 20;
constexpr std::uint32_t kStunCookie = 0x2112a442;

std::uint8_t byte_at(Bytes in, std::size_t at) noexcept { return std::to_integer<std::uint8_t>(in[at]); }

/// A binding request or its success. The kind's second byte is 1, which of Geneve would be a reserved bit.
bool is_stun(Bytes in) noexcept {
  return in.size() >= kStunHeaderSize && byte_at(in, 0) < 0x40 && byte_at(in, 1) == 0x01 &&
         load_big<std::uint32_t>(in.subspan(4)) == kStunCookie;
}

/// Message types 1 to 4, and three reserved bytes.
bool is_wireguard(Bytes in) noexcept {
  const auto type = load_little<std::uint32_t>(in);
  return type >= 1 && type <= 4;
}

}  // namespace

GeneveHeader read_geneve_header(Bytes in) noexcept {
  GeneveHeader out;
  out.version = static_cast<std::uint8_t>(byte_at(in, 0) >> 6);
  out.option_length = byte_at(in, 0) & kOptionLengthBits;
  out.control = (byte_at(in, 1) & kControlBit) != 0;
  out.protocol = load_big<std::uint16_t>(in.subspan(2));
  out.vni = load_big<std::uint32_t>(in.subspan(4)) >> 8;
  return out;
}

void write_geneve_header(MutableBytes out, const GeneveHeader& header) noexcept {
  out[0] = static_cast<std::byte>(header.version << 6 | (header.option_length & kOptionLengthBits));
  out[1] = std::byte{header.control ? kControlBit : std::uint8_t{0}};
  store_big(out.subspan(2), header.protocol);
  store_big(out.subspan(4), header.vni << 8);
}

DatagramKind kind_of(Bytes datagram) noexcept {
  if (datagram.size() < kGeneveHeaderSize) return DatagramKind::runt;
  if (is_stun(datagram)) return DatagramKind::stun;
  if (has_disco_magic(datagram)) return DatagramKind::disco;
  if (is_wireguard(datagram)) return DatagramKind::wireguard;
  return DatagramKind::geneve;
}

}  // namespace gatehouse::geneve_relay
