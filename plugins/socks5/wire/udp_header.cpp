#include "plugins/socks5/wire/udp_header.hpp"

namespace gatehouse::socks5 {
namespace {

constexpr std::size_t kHead = 3;  // RSV, FRAG

}  // namespace

Result<UdpMessage> read_udp_message(Bytes datagram) noexcept {
  if (datagram.size() < kHead) return Errc::truncated;
  const auto field = read_destination(datagram.subspan(kHead));
  if (!field) return field.error();
  return UdpMessage{std::to_integer<std::uint8_t>(datagram[2]), field->destination,
                    datagram.subspan(kHead + field->size)};
}

void write_udp_header(MutableBytes out, const Endpoint& from) noexcept {
  out[0] = out[1] = out[2] = std::byte{0};
  write_destination(out.subspan(kHead), from);
}

}  // namespace gatehouse::socks5
