// The three messages of the handshake between a client and the relay, of both wire forms.
//
//   type 1 | version 1 (not looked at) | body
//
//   first form     Bind       32 bytes of padding           current form, all three
//                  Challenge  challenge 32                    VNI 4 | generation 4 | remote key 32 | challenge 32
//                  Answer     challenge 32
//
// All of one form have one length, so that nobody gets more than was sent in his name. What is longer than a form's
// body is of that form: bytes behind a body are ignored.
#pragma once

#include "plugins/geneve-relay/wire/disco_key.hpp"

#include <cstdint>

namespace gatehouse::geneve_relay {

enum class MessageType : std::uint8_t {
  ping = 1,           ///< between clients
  pong = 2,           ///< between clients
  call_me_maybe = 3,  ///< on a side channel
  bind = 4,
  challenge = 5,
  answer = 6,
  call_me_maybe_via = 7,
  allocation_request = 8,
  allocation_response = 9,
};

/// The protocol as it was first published, and as it is today.
enum class WireForm : std::uint8_t { first, current };

using Challenge = std::array<std::byte, 32>;

inline constexpr std::size_t kMessageHeaderSize = 2;
inline constexpr std::size_t kFirstBodySize = 32, kCurrentBodySize = 72;
inline constexpr std::size_t kLargestBindMessage = kMessageHeaderSize + kCurrentBodySize;  ///< as written, bytes

/// A value. The first form has nothing but a type and, but in a Bind, a challenge.
struct BindMessage {
  MessageType type = MessageType::bind;  ///< bind, challenge or answer
  WireForm form = WireForm::current;
  std::uint32_t vni = 0;         ///< the endpoint's
  std::uint32_t generation = 0;  ///< the client's number of the handshake, not 0
  DiscoKey remote;               ///< the other client than the one that sends or gets this
  Challenge challenge{};         ///< zero in a Bind

  bool operator==(const BindMessage&) const = default;
};

/// Reads what an envelope held. Fields are as on the wire, a Bind's challenge is zero whatever stands there.
/// @return Errc::truncated    shorter than any form of the type
///         Errc::unsupported  of another type
[[nodiscard]] Result<BindMessage> read_bind_message(Bytes message) noexcept;

/// Writes `message` to the front of `out`, which has kLargestBindMessage bytes. @return how many were written
std::size_t write_bind_message(MutableBytes out, const BindMessage& message) noexcept;

}  // namespace gatehouse::geneve_relay
