#include "plugins/udpgw/frame.hpp"

namespace gatehouse::udpgw {

// tun2proxy: length (big-endian), flags (0x01 keepalive, 0x02 data, 0x20 error), conid, and with data a SOCKS5 address
// type (1, 3 or 4). Its keepalive is 00 03 01 and a conid; read as badvpn's that would be a keepalive of 770 bytes.
bool looks_like_tun2proxy(Bytes in) noexcept {
  if (in.size() < 5) return false;
  const std::size_t length = load_big<std::uint16_t>(in);
  const auto flags = std::to_integer<unsigned>(in[2]);
  if (length == 3 && flags == 0x01) return true;
  if (flags != 0x02 || in.size() < 6 || in.size() != kLengthSize + length) return false;
  if (kLengthSize + load_little<std::uint16_t>(in) <= in.size()) return false;  // a whole frame of ours
  const auto type = std::to_integer<unsigned>(in[5]);
  return type == 1 || type == 3 || type == 4;
}

}  // namespace gatehouse::udpgw
