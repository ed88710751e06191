#include <gatehouse/base/prefix.hpp>

#include <charconv>

namespace gatehouse {
namespace {

/// `address` with all bits beyond the first `length` cleared.
IpAddress masked(const IpAddress& address, unsigned length) noexcept {
  std::array<std::byte, 16> bytes = address.storage();
  for (unsigned i = 0; i < address.bits() / 8; ++i) {
    const unsigned keep = length > i * 8 ? std::min(length - i * 8, 8u) : 0;
    bytes[i] &= static_cast<std::byte>(0xff00u >> keep);
  }
  return address.is_v4() ? IpAddress::v4(Bytes(bytes).first(4)) : IpAddress::v6(bytes);
}

}  // namespace

Prefix::Prefix(const IpAddress& address, unsigned length) noexcept
    : address_(masked(address, length)), length_(length) {
  assert(length <= address.bits());
}

Result<Prefix> Prefix::parse(std::string_view text) noexcept {
  const auto slash = text.find('/');
  const auto address = IpAddress::parse(text.substr(0, slash));
  if (!address) return Errc::malformed;
  unsigned length = address->bits();
  if (slash != text.npos) {
    const std::string_view digits = text.substr(slash + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
    if (digits.empty() || error != std::errc{} || end != digits.data() + digits.size() || length > address->bits())
      return Errc::malformed;
  }
  const Prefix out(*address, length);
  if (out.address_ != *address) return Errc::malformed;  // host bits set
  if (const IpAddress plain = address->unmapped(); plain.is_v4() && address->is_v6() && length >= 96)
    return Prefix(plain, length - 96);
  return out;
}

bool Prefix::contains(const IpAddress& address) const noexcept {
  return address.family() == address_.family() && address.family() != Family::none &&
         masked(address, length_) == address_;
}

bool Prefix::contains(const Prefix& inner) const noexcept {
  return inner.length_ >= length_ && contains(inner.address_);
}

std::string Prefix::to_string() const { return address_.to_string() + '/' + std::to_string(length_); }

}  // namespace gatehouse
