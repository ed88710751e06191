#include "plugins/geneve-relay/wire/stun_message.hpp"

#include <gatehouse/base/endian.hpp>

#include <algorithm>
#include <string_view>

namespace gatehouse::geneve_relay {
namespace {

constexpr std::size_t kHeaderSize = 20, kAttributeHeaderSize = 4;
constexpr std::uint32_t kCookie = 0x2112a442;
constexpr std::uint16_t kRequest = 0x0001, kSuccess = 0x0101;
constexpr std::uint16_t kMappedAddress = 0x0001, kXorMappedAddress = 0x0020, kSoftware = 0x8022, kFingerprint = 0x8028;
constexpr std::string_view kSoftwareName = "tailnode";  // some servers answer nobody else
constexpr std::uint32_t kFingerprintMask = 0x5354554e;
constexpr std::uint8_t kFamilyV4 = 1, kFamilyV6 = 2;

/// CRC-32 of ISO 3309, as FINGERPRINT has it.
std::uint32_t crc32(Bytes bytes) noexcept {
  std::uint32_t crc = 0xffffffff;
  for (const std::byte byte : bytes) {
    crc ^= std::to_integer<std::uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xedb88320u : 0u);
  }
  return ~crc;
}

/// MAPPED-ADDRESS, or its XOR form, where cookie and transaction stand in front of `mask`.
Result<Endpoint> read_address(Bytes value, Bytes mask, bool is_masked) noexcept {
  if (value.size() < 8) return Errc::malformed;
  const auto family = std::to_integer<std::uint8_t>(value[1]);
  const std::size_t size = family == kFamilyV4 ? 4 : family == kFamilyV6 ? 16 : 0;
  if (size == 0 || value.size() < 4 + size) return Errc::malformed;
  std::array<std::byte, 16> address{};
  for (std::size_t i = 0; i < size; ++i) address[i] = value[4 + i] ^ (is_masked ? mask[i] : std::byte{0});
  auto port = load_big<std::uint16_t>(value.subspan(2));
  if (is_masked) port ^= static_cast<std::uint16_t>(kCookie >> 16);
  const Bytes bytes = Bytes(address).first(size);
  const Endpoint out{(size == 4 ? IpAddress::v4(bytes) : IpAddress::v6(bytes)).unmapped(), port};
  if (out.port == 0 || out.address.is_unspecified() || out.address.is_multicast()) return Errc::malformed;
  return out;
}

}  // namespace

std::array<std::byte, kStunRequestSize> write_stun_request(const StunTransaction& transaction) noexcept {
  std::array<std::byte, kStunRequestSize> out{};
  const MutableBytes bytes(out);
  store_big(bytes, kRequest);
  store_big(bytes.subspan(2), static_cast<std::uint16_t>(kStunRequestSize - kHeaderSize));
  store_big(bytes.subspan(4), kCookie);
  std::ranges::copy(transaction, out.begin() + 8);
  store_big(bytes.subspan(20), kSoftware);
  store_big(bytes.subspan(22), static_cast<std::uint16_t>(kSoftwareName.size()));
  std::ranges::copy(bytes_of(kSoftwareName), out.begin() + 24);
  store_big(bytes.subspan(32), kFingerprint);
  store_big(bytes.subspan(34), std::uint16_t{4});
  store_big(bytes.subspan(36), crc32(Bytes(out).first(32)) ^ kFingerprintMask);
  return out;
}

Result<StunResponse> read_stun_response(Bytes in) noexcept {
  if (in.size() < kHeaderSize) return Errc::truncated;
  if (load_big<std::uint16_t>(in) != kSuccess || load_big<std::uint32_t>(in.subspan(4)) != kCookie)
    return Errc::unsupported;
  const std::size_t size = load_big<std::uint16_t>(in.subspan(2));
  if (in.size() - kHeaderSize < size) return Errc::truncated;
  const Bytes mask = in.subspan(4, 16);
  StunResponse out;
  std::ranges::copy(in.subspan(8, out.transaction.size()), out.transaction.begin());

  Result<Endpoint> mapped = Errc::malformed;
  for (Bytes rest = in.subspan(kHeaderSize, size); rest.size() >= kAttributeHeaderSize;) {
    const auto type = load_big<std::uint16_t>(rest);
    const std::size_t length = load_big<std::uint16_t>(rest.subspan(2));
    rest = rest.subspan(kAttributeHeaderSize);
    if (rest.size() < length) return Errc::malformed;
    const Bytes value = rest.first(length);
    rest = rest.subspan(std::min((length + 3) / 4 * 4, rest.size()));
    if (type == kXorMappedAddress) {
      mapped = read_address(value, mask, true);
      break;
    }
    if (type == kMappedAddress && !mapped) mapped = read_address(value, mask, false);
  }
  if (!mapped) return mapped.error();
  out.mapped = *mapped;
  return out;
}

}  // namespace gatehouse::geneve_relay
