// The client's first words: which ways to say who it is it knows (RFC 1928, 3).
//
//   client  | VER = 5 | NMETHODS | METHODS, a byte each |        server  | VER = 5 | METHOD |
#pragma once

#include <gatehouse/base/bytes.hpp>
#include <gatehouse/base/error.hpp>

#include <array>
#include <cstdint>

namespace gatehouse::socks5 {

enum class Method : std::uint8_t {
  none = 0,
  password = 2,  ///< RFC 1929
  refused = 0xff
};

inline constexpr std::byte kVersion{5};

/// Borrows the bytes that it was read from.
struct Greeting {
  Bytes methods;
  std::size_t size = 0;  ///< bytes of it

  [[nodiscard]] bool offers(Method method) const noexcept;
};

/// @return Errc::truncated; Errc::malformed: another version (SOCKS4, HTTP, TLS), known from the first byte
[[nodiscard]] Result<Greeting> read_greeting(Bytes in) noexcept;

[[nodiscard]] constexpr std::array<std::byte, 2> make_method_answer(Method method) noexcept {
  return {kVersion, static_cast<std::byte>(method)};
}

}  // namespace gatehouse::socks5
