// What a session's two state words say (Session::set_state): what the client is doing, and with whom.
#pragma once

#include <gatehouse/base/address.hpp>

#include <cstdint>
#include <string>
#include <utility>

namespace gatehouse::socks5 {

enum class Doing : std::uint8_t { opening, connecting, connected, associated };

/// A destination is kept as an IPv4 address, or as the upper half of an IPv6 one.
[[nodiscard]] std::pair<std::uint64_t, std::uint64_t> state_words(Doing doing, const Endpoint& with) noexcept;
/// "connected to 192.0.2.1:443", "connected to 2001:db8::/64 port 443", "udp association, 3 flows"; "" for nonsense.
[[nodiscard]] std::string describe_state(std::uint64_t first, std::uint64_t second);

}  // namespace gatehouse::socks5
