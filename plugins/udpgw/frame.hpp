// The udpgw frame: one UDP datagram, or a keepalive, inside a byte stream.
//
//   0      1      2      3      4      5                    +4 or +16     +2
//   +------+------+------+------+------+--------------------+-------------+-----------
//   | length (LE) | flags| conid (LE)  | IPv4 or IPv6 addr  | port (BE)   | payload...
//   +------+------+------+------+------+--------------------+-------------+-----------
//
// `length` counts the bytes after itself. A keepalive ends after conid, or anywhere behind it.
// Source: the wire, as badvpn's udpgw and tun2socks and psiphon's port forward code speak it (README.md).
#pragma once

#include <gatehouse/base/address.hpp>
#include <gatehouse/base/bytes.hpp>
#include <gatehouse/base/endian.hpp>
#include <gatehouse/base/error.hpp>

#include <cstdint>

namespace gatehouse::udpgw {

enum FrameFlag : std::uint8_t {
  kKeepalive = 0x01,
  kRebind = 0x02,
  kDns = 0x04,
  kIpv6 = 0x08,  // the others are ignored, as both known servers do
};

inline constexpr std::size_t kLengthSize = 2;
inline constexpr std::size_t kHeaderSize = 3;                          ///< flags and conid
inline constexpr std::size_t kAddressSizeV4 = 6, kAddressSizeV6 = 18;  ///< with the port
inline constexpr std::size_t kOverheadV4 = kLengthSize + kHeaderSize + kAddressSizeV4;
inline constexpr std::size_t kOverheadV6 = kLengthSize + kHeaderSize + kAddressSizeV6;
inline constexpr std::size_t kLargestFrame = kLengthSize + 65535;

/// A decoded frame. It aliases the input, and lives as long as that.
struct Frame {
  std::uint16_t conid = 0;  ///< client-chosen flow number
  std::uint8_t flags = 0;
  Bytes address;  ///< address and port as on the wire: 6 or 18 bytes; empty in a keepalive
  Bytes payload;
  [[nodiscard]] bool has(FrameFlag flag) const noexcept { return (flags & flag) != 0; }
};

enum class FrameKind {
  incomplete,  ///< the input ends before the frame does: keep the bytes and read more
  data,
  keepalive,
  malformed,  ///< too short for its flags: count it, and skip `size` bytes
};

struct Decoded {
  FrameKind kind = FrameKind::incomplete;
  Frame frame;           ///< with `data` and `keepalive`
  std::size_t size = 0;  ///< bytes of the whole frame, its length included; 0 while incomplete
};

/// Decodes the frame at the front of `in`. Never allocates, never throws, reads no byte outside `in`.
[[nodiscard]] inline Decoded decode(Bytes in) noexcept {
  Decoded out;
  if (in.size() < kLengthSize) return out;
  const std::size_t length = load_little<std::uint16_t>(in);
  if (in.size() < kLengthSize + length) return out;
  out.size = kLengthSize + length;
  out.kind = FrameKind::malformed;
  if (length < kHeaderSize) return out;

  out.frame.flags = std::to_integer<std::uint8_t>(in[2]);
  out.frame.conid = load_little<std::uint16_t>(in.subspan(3));
  if (out.frame.has(kKeepalive)) {
    out.kind = FrameKind::keepalive;
    return out;
  }
  const std::size_t address_size = out.frame.has(kIpv6) ? kAddressSizeV6 : kAddressSizeV4;
  if (length < kHeaderSize + address_size) return out;
  out.frame.address = in.subspan(kLengthSize + kHeaderSize, address_size);
  out.frame.payload = in.subspan(kLengthSize + kHeaderSize + address_size, length - kHeaderSize - address_size);
  out.kind = FrameKind::data;
  return out;
}

/// The endpoint that `address` (6 or 18 bytes of a frame) names. ::ffff:a.b.c.d comes out as IPv4, which is how the
/// kernel sends it and how policy judges it.
[[nodiscard]] inline Endpoint read_address(Bytes address) noexcept {
  Endpoint out;
  const std::size_t bytes = address.size() - 2;
  out.address = bytes == 4 ? IpAddress::v4(address) : IpAddress::v6(address).unmapped();
  out.port = load_big<std::uint16_t>(address.subspan(bytes));
  return out;
}

/// Writes what goes before a reply's payload: `address` as the client gave it, and the IPv6 flag with 18 bytes.
/// @param out  room for kOverheadV4 or kOverheadV6 bytes  @return how many were written
inline std::size_t write_header(MutableBytes out, std::uint16_t conid, Bytes address, std::size_t payload) noexcept {
  store_little(out, static_cast<std::uint16_t>(kHeaderSize + address.size() + payload));
  out[2] = address.size() == kAddressSizeV6 ? std::byte{kIpv6} : std::byte{0};
  store_little(out.subspan(3), conid);
  std::memcpy(out.data() + kLengthSize + kHeaderSize, address.data(), address.size());
  return kLengthSize + kHeaderSize + address.size();
}

/// Does `in` begin like tun2proxy's protocol of the same name (big-endian lengths, keepalive 00 03 01 00 00)?
/// To be asked about a stream's first bytes only; false while fewer than 5 are there.
[[nodiscard]] bool looks_like_tun2proxy(Bytes in) noexcept;

}  // namespace gatehouse::udpgw
