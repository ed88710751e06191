#include <gatehouse/net/proxy_header.hpp>

#include <gatehouse/base/endian.hpp>

#include <algorithm>
#include <array>
#include <charconv>

namespace gatehouse {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kPrefixV1 = "PROXY "sv;
constexpr std::size_t kLongestV1 = 107;  // with CR LF
constexpr std::string_view kSignature = "\r\n\r\n\0\r\nQUIT\n"sv;
constexpr std::size_t kFixedSize = 16;

enum Command : unsigned { kLocal = 0x20, kProxy = 0x21 };  // with the version
enum AddressFamily : unsigned { kUnspecified, kInet, kInet6, kUnix };
constexpr std::array<std::size_t, 4> kAddressBlock = {0, 12, 36, 216};  // bytes, by AddressFamily
constexpr unsigned kUnspecifiedTransport = 0, kStream = 1, kDatagram = 2;

/// Takes what stands before the next space off `line`; all of it where there is none.
std::string_view take_word(std::string_view& line) noexcept {
  const std::string_view word = line.substr(0, line.find(' '));
  line.remove_prefix(std::min(word.size() + 1, line.size()));
  return word;
}

std::optional<std::uint16_t> read_port(std::string_view word) noexcept {
  std::uint16_t port = 0;
  const char* const end = word.data() + word.size();
  const auto [stop, error] = std::from_chars(word.data(), end, port);
  if (error != std::errc{} || stop != end || (word.size() > 1 && word.front() == '0')) return {};
  return port;
}

Result<ProxyHeader> parse_v1(std::string_view in) noexcept {
  const std::size_t end = in.substr(0, kLongestV1).find("\r\n");
  if (end == in.npos) return in.size() < kLongestV1 ? Errc::would_block : Errc::malformed;
  ProxyHeader header{end + 2, {}};
  std::string_view line = in.substr(kPrefixV1.size(), end - kPrefixV1.size());
  const bool last_is_space = line.ends_with(' ');
  const std::string_view protocol = take_word(line);
  if (protocol == "UNKNOWN") return header;
  if ((protocol != "TCP4" && protocol != "TCP6") || last_is_space) return Errc::malformed;
  const auto source = IpAddress::parse(take_word(line));
  const auto destination = IpAddress::parse(take_word(line));
  const auto source_port = read_port(take_word(line));
  const auto destination_port = read_port(take_word(line));
  if (!line.empty() || !source || !destination || !source_port || !destination_port) return Errc::malformed;
  const bool is_v6 = protocol == "TCP6";
  if (source->is_v6() != is_v6 || destination->is_v6() != is_v6) return Errc::malformed;
  header.source = Endpoint{source->unmapped(), *source_port};
  return header;
}

Result<ProxyHeader> parse_v2(Bytes in) noexcept {
  if (in.size() > 12 && in[12] != std::byte{kLocal} && in[12] != std::byte{kProxy}) return Errc::malformed;
  if (in.size() < kFixedSize) return Errc::would_block;
  const std::size_t length = load_big<std::uint16_t>(in.subspan(14));
  if (length > kLongestProxyHeader - kFixedSize) return Errc::malformed;
  ProxyHeader header{kFixedSize + length, {}};
  const auto family = std::to_integer<unsigned>(in[13]) >> 4, transport = std::to_integer<unsigned>(in[13]) & 15;
  const bool is_local = in[12] == std::byte{kLocal};  // then the rest says nothing
  if (!is_local && (family > kUnix || transport > kDatagram || length < kAddressBlock[family])) return Errc::malformed;
  if (in.size() < header.size) return Errc::would_block;
  if (is_local || transport == kUnspecifiedTransport) return header;
  const Bytes addresses = in.subspan(kFixedSize, length);
  if (family == kInet)
    header.source = Endpoint{IpAddress::v4(addresses), load_big<std::uint16_t>(addresses.subspan(8))};
  if (family == kInet6)
    header.source = Endpoint{IpAddress::v6(addresses).unmapped(), load_big<std::uint16_t>(addresses.subspan(32))};
  return header;
}

/// An address as IPv6 has it.
IpAddress mapped(const IpAddress& address) noexcept {
  if (!address.is_v4()) return address;
  std::array<std::byte, 16> bytes{};
  bytes[10] = bytes[11] = std::byte{0xff};
  std::ranges::copy(address.bytes(), bytes.begin() + 12);
  return IpAddress::v6(bytes);
}

template <std::unsigned_integral Int>
void append_big(std::string& out, Int value) {
  std::array<std::byte, sizeof value> bytes;
  store_big(bytes, value);
  out += text_of(bytes);
}

}  // namespace

Result<ProxyHeader> parse_proxy_header(Bytes in) noexcept {
  const std::string_view text = text_of(in);
  if (text.starts_with(kPrefixV1)) return parse_v1(text);
  if (text.starts_with(kSignature)) return parse_v2(in);
  return kPrefixV1.starts_with(text) || kSignature.starts_with(text) ? Errc::would_block : Errc::malformed;
}

std::string write_proxy_header(ProxyVersion version, const Endpoint& source, const Endpoint& destination) {
  const bool has_addresses = source.address.bits() != 0 && destination.address.bits() != 0;
  const bool is_v6 = source.address.is_v6() || destination.address.is_v6();
  const IpAddress from = is_v6 ? mapped(source.address) : source.address;
  const IpAddress to = is_v6 ? mapped(destination.address) : destination.address;
  if (version == ProxyVersion::v1) {
    if (!has_addresses) return "PROXY UNKNOWN\r\n";
    return std::string("PROXY ") + (is_v6 ? "TCP6 " : "TCP4 ") + from.to_string() + ' ' + to.to_string() + ' ' +
           std::to_string(source.port) + ' ' + std::to_string(destination.port) + "\r\n";
  }
  const unsigned family = !has_addresses ? kUnspecified : is_v6 ? kInet6 : kInet;
  std::string out(kSignature);
  out += static_cast<char>(has_addresses ? kProxy : kLocal);
  out += static_cast<char>(has_addresses ? family << 4 | kStream : 0);
  append_big(out, static_cast<std::uint16_t>(kAddressBlock[family]));
  if (!has_addresses) return out;
  out += text_of(from.bytes());
  out += text_of(to.bytes());
  append_big(out, source.port);
  append_big(out, destination.port);
  return out;
}

}  // namespace gatehouse
