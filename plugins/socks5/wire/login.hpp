// A user's name and password (RFC 1929). Here the password is a token, and the name is for people.
//
//   client  | VER = 1 | ULEN | USER | PLEN | PASSWORD |        server  | VER = 1 | STATUS, 0 = welcome |
#pragma once

#include <gatehouse/base/bytes.hpp>
#include <gatehouse/base/error.hpp>

#include <array>
#include <string_view>

namespace gatehouse::socks5 {

/// Borrows the bytes that it was read from. Either text may hold anything, or nothing.
struct Login {
  std::string_view user, password;
  std::size_t size = 0;  ///< bytes of it
};

/// @return Errc::truncated; Errc::malformed: another version
[[nodiscard]] Result<Login> read_login(Bytes in) noexcept;

[[nodiscard]] constexpr std::array<std::byte, 2> make_login_answer(bool is_welcome) noexcept {
  return {std::byte{1}, std::byte{is_welcome ? std::uint8_t{0} : std::uint8_t{1}}};
}

}  // namespace gatehouse::socks5
