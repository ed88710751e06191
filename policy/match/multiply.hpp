// 64 x 64 -> 128 bit products: what mixes hashes and maps a hash to a range. Thread-safe.
#pragma once

#include <cstdint>

namespace gatehouse::policy {

__extension__ using Wide = unsigned __int128;

/// Both halves of the product in one: every bit of either operand reaches every part of the result.
[[nodiscard]] constexpr std::uint64_t fold(std::uint64_t a, std::uint64_t b) noexcept {
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

/// Maps a hash to 0 ... `size` - 1 in the hash's own order: a larger hash never gets a smaller place.
[[nodiscard]] constexpr std::uint64_t place_in(std::uint64_t hash, std::uint64_t size) noexcept {
  return static_cast<std::uint64_t>((static_cast<Wide>(hash) * size) >> 64);
}

}  // namespace gatehouse::policy
