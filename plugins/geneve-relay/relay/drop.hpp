// Why a packet was dropped without a word. The wire says nothing; a counter of each cause, and what a client was last
// refused for, do.
#pragma once

#include <boost/system/result.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace gatehouse::geneve_relay {

/// In the order in which they are looked for. Numbers are in the state words of sessions that live, which nobody keeps.
enum class Drop : std::uint8_t {
  short_header,      ///< shorter than a Geneve header
  geneve_version,    ///< another than 0
  no_geneve,         ///< naked disco or WireGuard, and nothing that is taken so
  unknown_vni,       ///< no endpoint has it
  control_protocol,  ///< control, and not disco
  short_envelope,    ///< control, and no room for an envelope
  envelope_magic,    ///< control, and no envelope
  unknown_key,       ///< the sender is neither of the two clients
  handshake_limit,   ///< more handshakes than one source, or one lane, may cost
  box,               ///< does not open: another's key, or changed under way
  long_message,      ///< larger than any message of a client
  short_message,     ///< opened, and shorter than its type wants
  message_type,      ///< neither a Bind nor an Answer
  sealed_vni,        ///< of another endpoint than the header's
  remote_key,        ///< not the other client's
  zero_generation,   ///< which no client chooses
  no_handshake,      ///< an Answer, and nothing was asked: also one that comes twice
  other_generation,  ///< an Answer to an earlier handshake than the one in progress
  wrong_challenge,   ///< an Answer from elsewhere than the Bind, or too late
  denied,            ///< policy does not let a client be where it is
  not_bound,         ///< data before both clients are bound
  unbound_source,    ///< data from where neither client is bound
  rate,              ///< data beyond a traffic rule's bytes a second
  quota,             ///< data beyond a traffic rule's bytes a day or month
  other_lane,  ///< came at another lane than its endpoint's, which has too much that waits, or is too large to wait
  no_socket,   ///< for a leg that was bound through a listener which there is no more
  ended,       ///< the host has ended the endpoint's session
  count
};
inline constexpr std::size_t kDrops = static_cast<std::size_t>(Drop::count);

/// A value, or why the packet goes no further.
template <class T>
using OrDrop = boost::system::result<T, Drop>;

/// The cause's name in metrics.
[[nodiscard]] std::string_view to_text(Drop drop) noexcept;
/// The cause in words, for people: "the Answer's challenge is not the one for its source".
[[nodiscard]] std::string_view describe(Drop drop) noexcept;

}  // namespace gatehouse::geneve_relay
