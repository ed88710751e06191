// STUN binding (RFC 8489): what the relay asks a server from its own socket, to learn how the world sees it.
//
//   request    0001 | length 2 | cookie 2112a442 | transaction 12 | SOFTWARE "tailnode" | FINGERPRINT
//   response   0101 | length 2 | cookie          | transaction 12 | attributes: XOR-MAPPED-ADDRESS, ...
#pragma once

#include <gatehouse/base/address.hpp>
#include <gatehouse/base/bytes.hpp>
#include <gatehouse/base/error.hpp>

#include <array>

namespace gatehouse::geneve_relay {

using StunTransaction = std::array<std::byte, 12>;

inline constexpr std::size_t kStunRequestSize = 40;

/// What a server saw, and whom it answers.
struct StunResponse {
  StunTransaction transaction{};
  Endpoint mapped;
};

[[nodiscard]] std::array<std::byte, kStunRequestSize> write_stun_request(const StunTransaction& transaction) noexcept;

/// Reads a binding's success. XOR-MAPPED-ADDRESS is believed before MAPPED-ADDRESS, which old servers have alone;
/// attributes that are not known are passed over. Neither throws nor allocates.
/// @return Errc::truncated    shorter than its header says
///         Errc::unsupported  no success of a binding
///         Errc::malformed    without an address, or with one that cannot be
[[nodiscard]] Result<StunResponse> read_stun_response(Bytes in) noexcept;

}  // namespace gatehouse::geneve_relay
