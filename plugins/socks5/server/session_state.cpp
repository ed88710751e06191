#include "plugins/socks5/server/session_state.hpp"

#include <gatehouse/base/endian.hpp>

#include <array>

namespace gatehouse::socks5 {
namespace {

constexpr unsigned kFamily = 8, kPort = 16;  // bits of the first word, above what it is doing

std::string destination_text(unsigned family, unsigned port, std::uint64_t address) {
  if (family == static_cast<unsigned>(Family::v4))
    return Endpoint{IpAddress::v4(static_cast<std::uint32_t>(address)), static_cast<std::uint16_t>(port)}.to_string();
  std::array<std::byte, 16> bytes{};
  store_big(MutableBytes(bytes), address);
  return IpAddress::v6(bytes).to_string() + "/64 port " + std::to_string(port);
}

}  // namespace

std::pair<std::uint64_t, std::uint64_t> state_words(Doing doing, const Endpoint& with) noexcept {
  const std::uint64_t family = static_cast<std::uint64_t>(with.address.family());
  const std::uint64_t first = static_cast<std::uint64_t>(doing) | family << kFamily | std::uint64_t{with.port} << kPort;
  return {first, with.address.is_v4() ? with.address.to_v4() : with.address.is_v6() ? with.address.upper64() : 0};
}

std::string describe_state(std::uint64_t first, std::uint64_t second) {
  const auto family = static_cast<unsigned>(first >> kFamily & 0xff), port = static_cast<unsigned>(first >> kPort);
  switch (static_cast<Doing>(first & 0xff)) {
    case Doing::opening: return "opening";
    case Doing::connecting: return "connecting to " + destination_text(family, port, second);
    case Doing::connected: return "connected to " + destination_text(family, port, second);
    case Doing::associated: return "udp association, " + std::to_string(port) + (port == 1 ? " flow" : " flows");
  }
  return "";
}

}  // namespace gatehouse::socks5
