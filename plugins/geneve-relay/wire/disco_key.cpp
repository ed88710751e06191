#include "plugins/geneve-relay/wire/disco_key.hpp"

#include <algorithm>

namespace gatehouse::geneve_relay {
namespace {

constexpr std::string_view kPrefix = "discokey:", kShortPrefix = "d:", kDigits = "0123456789abcdef";
constexpr std::size_t kShortBytes = 8;

/// The digit's value, or -1.
int value_of(char digit) noexcept {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

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
