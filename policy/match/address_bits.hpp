// Addresses and prefixes as two 64-bit numbers and a mask: one comparison for either family, in constants too.
#pragma once

#include <gatehouse/base/address.hpp>
#include <gatehouse/base/endian.hpp>
#include <gatehouse/base/prefix.hpp>

#include <array>
#include <cstdint>

namespace gatehouse::policy {

/// 128 bits of an address, in host order. IPv4 stands where ::ffff:a.b.c.d has it.
struct AddressBits {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  Family family = Family::none;

  constexpr AddressBits() = default;
  constexpr AddressBits(std::uint64_t h, std::uint64_t l, Family f) : high(h), low(l), family(f) {}
  explicit AddressBits(const IpAddress& address) noexcept : family(address.family()) {
    const Bytes bytes(address.storage());
    if (address.is_v4()) {
      low = kMapped | load_big<std::uint32_t>(bytes);
    } else {
      high = load_big<std::uint64_t>(bytes);
      low = load_big<std::uint64_t>(bytes.subspan(8));
    }
  }
  [[nodiscard]] IpAddress to_address() const noexcept {
    if (family == Family::v4) return IpAddress::v4(static_cast<std::uint32_t>(low));
    std::array<std::byte, 16> bytes{};
    store_big(MutableBytes(bytes), high);
    store_big(MutableBytes(bytes).subspan(8), low);
    return IpAddress::v6(bytes);
  }
  /// The first byte of the address as it is written.
  [[nodiscard]] constexpr std::uint8_t first_byte() const noexcept {
    return static_cast<std::uint8_t>(family == Family::v4 ? low >> 24 : high >> 56);
  }

  static constexpr std::uint64_t kMapped = 0xffff'0000'0000;
};

/// A prefix to hold addresses against.
struct PrefixBits {
  AddressBits base;
  std::uint64_t high_mask = 0;
  std::uint64_t low_mask = 0;
  std::uint8_t length = 0;  ///< as written: of 32 for IPv4

  constexpr PrefixBits() = default;
  constexpr PrefixBits(const AddressBits& address, unsigned prefix_length)
      : base(address), length(static_cast<std::uint8_t>(prefix_length)) {
    const unsigned bits = prefix_length + (address.family == Family::v4 ? 96 : 0);
    high_mask = bits == 0 ? 0 : bits >= 64 ? ~std::uint64_t{0} : ~std::uint64_t{0} << (64 - bits);
    low_mask = bits <= 64 ? 0 : ~std::uint64_t{0} << (128 - bits);
  }
  explicit PrefixBits(const Prefix& prefix) noexcept : PrefixBits(AddressBits(prefix.address()), prefix.length()) {}

  /// False for an address of the other family.
  [[nodiscard]] constexpr bool contains(const AddressBits& address) const noexcept {
    return (((address.high ^ base.high) & high_mask) | ((address.low ^ base.low) & low_mask)) == 0 &&
           address.family == base.family;
  }
  [[nodiscard]] constexpr bool contains(const PrefixBits& inner) const noexcept {
    return inner.length >= length && contains(inner.base);
  }
};

}  // namespace gatehouse::policy
