#include <gatehouse/base/address.hpp>
#include <gatehouse/base/endian.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace gatehouse {
namespace {

/// A whole decimal number within `most`, nothing else in `text`.
std::optional<std::uint32_t> parse_number(std::string_view text, std::uint32_t most) noexcept {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size() || value > most) return {};
  return value;
}

std::uint64_t mix(std::uint64_t value) noexcept {  // the finaliser of splitmix64
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

}  // namespace

IpAddress IpAddress::v4(std::uint32_t host_order) noexcept {
  IpAddress out;
  store_big(MutableBytes(out.bytes_), host_order);
  out.family_ = Family::v4;
  return out;
}

IpAddress IpAddress::v4(Bytes bytes) noexcept { return v4(load_big<std::uint32_t>(bytes)); }

IpAddress IpAddress::v6(Bytes bytes) noexcept {
  assert(bytes.size() >= 16);
  IpAddress out;
  std::memcpy(out.bytes_.data(), bytes.data(), 16);
  out.family_ = Family::v6;
  return out;
}

Result<IpAddress> IpAddress::parse(std::string_view text) noexcept {
  char zero_ended[INET6_ADDRSTRLEN + 1];
  if (text.empty() || text.size() >= sizeof zero_ended || text.find('\0') != text.npos) return Errc::malformed;
  zero_ended[text.copy(zero_ended, text.size())] = '\0';
  std::array<std::byte, 16> bytes{};
  if (inet_pton(AF_INET, zero_ended, bytes.data()) == 1) return v4(Bytes(bytes));
  if (inet_pton(AF_INET6, zero_ended, bytes.data()) == 1) return v6(bytes);
  return Errc::malformed;
}

std::uint32_t IpAddress::to_v4() const noexcept { return load_big<std::uint32_t>(bytes_); }
std::uint64_t IpAddress::upper64() const noexcept { return load_big<std::uint64_t>(bytes_); }
std::uint64_t IpAddress::lower64() const noexcept { return load_big<std::uint64_t>(Bytes(bytes_).subspan(8)); }

IpAddress IpAddress::unmapped() const noexcept {
  if (is_v6() && upper64() == 0 && (lower64() >> 32) == 0xffff) return v4(static_cast<std::uint32_t>(lower64()));
  return *this;
}

bool IpAddress::is_loopback() const noexcept {
  return is_v4() ? to_v4() >> 24 == 127 : is_v6() && upper64() == 0 && lower64() == 1;
}
bool IpAddress::is_unspecified() const noexcept {
  return family_ != Family::none && bytes_ == std::array<std::byte, 16>{};
}
bool IpAddress::is_link_local() const noexcept {
  return is_v4() ? to_v4() >> 16 == 0xa9fe : is_v6() && upper64() >> 54 == 0xfe80 >> 6;
}
bool IpAddress::is_multicast() const noexcept {
  return is_v4() ? to_v4() >> 28 == 0xe : is_v6() && bytes_[0] == std::byte{0xff};
}

std::string IpAddress::to_string() const {
  char text[INET6_ADDRSTRLEN] = "none";
  if (family_ != Family::none) inet_ntop(is_v4() ? AF_INET : AF_INET6, bytes_.data(), text, sizeof text);
  return text;
}

Result<Endpoint> Endpoint::parse(std::string_view text, std::optional<std::uint16_t> default_port) noexcept {
  std::string_view host = text;
  std::optional<std::string_view> port;
  if (!text.empty() && text.front() == '[') {
    const auto close = text.find(']');
    if (close == text.npos) return Errc::malformed;
    host = text.substr(1, close - 1);
    const std::string_view rest = text.substr(close + 1);
    if (!rest.empty()) {
      if (rest.front() != ':') return Errc::malformed;
      port = rest.substr(1);
    }
    if (host.find(':') == host.npos) return Errc::malformed;
  } else if (const auto colon = text.find(':'); colon != text.npos && text.find(':', colon + 1) == text.npos) {
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
  }

  Endpoint out;
  if (const auto percent = host.find('%'); percent != host.npos) {
    const auto scope = parse_number(host.substr(percent + 1), UINT32_MAX);
    if (!scope) return Errc::malformed;
    out.scope = *scope;
    host = host.substr(0, percent);
  }
  const auto address = IpAddress::parse(host);
  if (!address || (out.scope != 0 && !address->is_v6())) return Errc::malformed;
  out.address = *address;
  if (port) {
    const auto number = parse_number(*port, 65535);
    if (!number) return Errc::malformed;
    out.port = static_cast<std::uint16_t>(*number);
  } else if (default_port) {
    out.port = *default_port;
  } else {
    return Errc::malformed;
  }
  return out;
}

Endpoint Endpoint::from_sockaddr(const sockaddr_storage& from) noexcept {
  Endpoint out;
  if (from.ss_family == AF_INET) {
    sockaddr_in in;
    std::memcpy(&in, &from, sizeof in);
    out.address = IpAddress::v4(ntohl(in.sin_addr.s_addr));
    out.port = ntohs(in.sin_port);
  } else if (from.ss_family == AF_INET6) {
    sockaddr_in6 in;
    std::memcpy(&in, &from, sizeof in);
    out.address = IpAddress::v6(std::as_bytes(std::span(in.sin6_addr.s6_addr))).unmapped();
    out.port = ntohs(in.sin6_port);
    if (out.address.is_v6()) out.scope = in.sin6_scope_id;
  }
  return out;
}

unsigned Endpoint::to_sockaddr(sockaddr_storage& out) const noexcept {
  if (address.is_v4()) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(port);
    in.sin_addr.s_addr = htonl(address.to_v4());
    std::memcpy(&out, &in, sizeof in);
    return sizeof in;
  }
  sockaddr_in6 in{};
  in.sin6_family = AF_INET6;
  in.sin6_port = htons(port);
  in.sin6_scope_id = scope;
  std::memcpy(in.sin6_addr.s6_addr, address.storage().data(), 16);
  std::memcpy(&out, &in, sizeof in);
  return sizeof in;
}

std::string Endpoint::to_string() const {
  const std::string number = std::to_string(port);
  if (!address.is_v6()) return address.to_string() + ':' + number;
  return '[' + address.to_string() + (scope != 0 ? '%' + std::to_string(scope) : "") + "]:" + number;
}

std::size_t hash_value(const IpAddress& address) noexcept {
  if (address.is_v4()) return mix(address.to_v4() + 0x9e3779b97f4a7c15);
  return mix(mix(address.upper64() + 0x9e3779b97f4a7c15) ^ address.lower64());
}

std::size_t hash_value(const Endpoint& endpoint) noexcept {
  return mix(hash_value(endpoint.address) ^ (std::uint64_t{endpoint.port} << 32 | endpoint.scope));
}

}  // namespace gatehouse
