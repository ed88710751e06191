#include "plugins/geneve-relay/wire/disco_key.hpp"

#include <algorithm>

namespace gatehouse::geneve_relay {
namespace {

constexpr std::string_view kPrefix = "discokey:", kShortPrefix = "d:", kDigits = "0123456789abcdef";
constexpr std::size_t kShortBytes = 8;

// The points of an order that divides 8, on the curve and its twist, as X25519 reads them: without the last bit.
constexpr std::array<std::string_view, 7> kSmallOrders{
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"};

/// The digit's value, or -1.
constexpr int value_of(char digit) noexcept {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

constexpr auto kSmallOrderPoints = [] {
  std::array<std::array<std::byte, DiscoKey::kSize>, kSmallOrders.size()> out{};
  for (std::size_t point = 0; point < out.size(); ++point)
    for (std::size_t i = 0; i < DiscoKey::kSize; ++i)
      out[point][i] =
          static_cast<std::byte>(value_of(kSmallOrders[point][2 * i]) << 4 | value_of(kSmallOrders[point][2 * i + 1]));
  return out;
}();

std::string with_hex(std::string_view prefix, Bytes bytes) {
  std::string out(prefix);
  out.reserve(prefix.size() + 2 * bytes.size());
  for (const std::byte byte : bytes) {
    out += kDigits[std::to_integer<std::size_t>(byte >> 4)];
    out += kDigits[std::to_integer<std::size_t>(byte & std::byte{0x0f})];
  }
  return out;
}

}  // namespace

bool DiscoKey::has_small_order() const noexcept {
  auto point = bytes;
  point.back() &= std::byte{0x7f};
  return std::ranges::find(kSmallOrderPoints, point) != kSmallOrderPoints.end();
}

DiscoKey DiscoKey::from(Bytes in) noexcept {
  DiscoKey out;
  std::ranges::copy(in.first(kSize), out.bytes.begin());
  return out;
}

Result<DiscoKey> DiscoKey::parse(std::string_view text) noexcept {
  if (!text.starts_with(kPrefix)) return Errc::malformed;
  text.remove_prefix(kPrefix.size());
  if (text.size() != 2 * kSize) return Errc::malformed;
  DiscoKey out;
  for (std::size_t i = 0; i < kSize; ++i) {
    const int high = value_of(text[2 * i]), low = value_of(text[2 * i + 1]);
    if (high < 0 || low < 0) return Errc::malformed;
    out.bytes[i] = static_cast<std::byte>(high << 4 | low);
  }
  return out;
}

std::string DiscoKey::to_string() const { return with_hex(kPrefix, bytes); }
std::string DiscoKey::to_short_string() const { return with_hex(kShortPrefix, Bytes(bytes).first(kShortBytes)); }
std::string DiscoKey::to_hex() const { return with_hex({}, bytes); }

}  // namespace gatehouse::geneve_relay
