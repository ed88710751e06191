#include "plugins/socks5/wire/destination.hpp"

#include <gatehouse/base/endian.hpp>

#include <algorithm>

namespace gatehouse::socks5 {
namespace {

constexpr std::byte kIpv4{1}, kName{3}, kIpv6{4};
constexpr std::size_t kPort = 2;

std::string_view text_of(Bytes bytes) noexcept { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

}  // namespace

Result<DestinationField> read_destination(Bytes in) noexcept {
  if (in.empty()) return Errc::truncated;
  const std::byte kind = in[0];
  std::size_t at = 1, size = kind == kIpv4 ? 4 : 16;
  if (kind == kName) {
    if (in.size() < 2) return Errc::truncated;
    size = std::to_integer<std::size_t>(in[at++]);
    if (size == 0) return Errc::malformed;
  } else if (kind != kIpv4 && kind != kIpv6) {
    return Errc::unsupported;
  }
  if (in.size() < at + size + kPort) return Errc::truncated;
  const Bytes value = in.subspan(at, size);
  DestinationField out;
  out.size = at + size + kPort;
  out.destination.endpoint.port = load_big<std::uint16_t>(in.subspan(at + size));
  IpAddress& address = out.destination.endpoint.address;
  if (kind == kIpv4) {
    address = IpAddress::v4(value);
  } else if (kind == kIpv6) {
    address = IpAddress::v6(value);
  } else if (const auto digits = IpAddress::parse(text_of(value))) {
    address = *digits;
  } else {
    out.destination.name = text_of(value);
  }
  return out;
}

std::size_t write_destination(MutableBytes out, const Endpoint& endpoint) noexcept {
  const bool is_v6 = endpoint.address.is_v6();
  const std::size_t size = is_v6 ? 16 : 4;
  out[0] = is_v6 ? kIpv6 : kIpv4;
  std::copy_n(endpoint.address.storage().begin(), size, out.begin() + 1);
  store_big(out.subspan(1 + size), endpoint.port);
  return 1 + size + kPort;
}

}  // namespace gatehouse::socks5
