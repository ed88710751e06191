// Integers on the wire: the only way to read or write one.
#pragma once

#include <gatehouse/base/bytes.hpp>

#include <boost/endian/conversion.hpp>

#include <cassert>
#include <concepts>
#include <cstring>

namespace gatehouse {

/// The integer at the front of `in`, which holds at least sizeof(Int) bytes. Network byte order.
template <std::unsigned_integral Int>
[[nodiscard]] inline Int load_big(Bytes in) noexcept {
  assert(in.size() >= sizeof(Int));
  Int value;
  std::memcpy(&value, in.data(), sizeof value);
  return boost::endian::big_to_native(value);
}

/// As load_big, little-endian.
template <std::unsigned_integral Int>
[[nodiscard]] inline Int load_little(Bytes in) noexcept {
  assert(in.size() >= sizeof(Int));
  Int value;
  std::memcpy(&value, in.data(), sizeof value);
  return boost::endian::little_to_native(value);
}

/// Writes `value` to the front of `out`, which has room for sizeof(Int) bytes. Network byte order.
template <std::unsigned_integral Int>
inline void store_big(MutableBytes out, Int value) noexcept {
  assert(out.size() >= sizeof(Int));
  boost::endian::native_to_big_inplace(value);
  std::memcpy(out.data(), &value, sizeof value);
}

/// As store_big, little-endian.
template <std::unsigned_integral Int>
inline void store_little(MutableBytes out, Int value) noexcept {
  assert(out.size() >= sizeof(Int));
  boost::endian::native_to_little_inplace(value);
  std::memcpy(out.data(), &value, sizeof value);
}

}  // namespace gatehouse
