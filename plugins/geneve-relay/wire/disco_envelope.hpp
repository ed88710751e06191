// The disco envelope: who seals, and the sealed message.
//
//   magic 6              | sender 32             | nonce 24 | box: tag 16 + message n
//   54 53 f0 9f 92 ac    | its public disco key  |          | X25519, XSalsa20-Poly1305 (crypto_box)
//
// Behind the Geneve header of a control packet; alone on side channels and for allocations on the UDP port.
#pragma once

#include "plugins/geneve-relay/wire/disco_key.hpp"
#include "plugins/geneve-relay/wire/disco_secret.hpp"
#include "plugins/geneve-relay/wire/random_source.hpp"

#include <optional>

namespace gatehouse::geneve_relay {

inline constexpr std::size_t kDiscoMagicSize = 6, kDiscoNonceSize = 24, kDiscoTagSize = 16;
inline constexpr std::size_t kEnvelopeHeaderSize = kDiscoMagicSize + DiscoKey::kSize + kDiscoNonceSize;
inline constexpr std::size_t kEnvelopeOverhead = kEnvelopeHeaderSize + kDiscoTagSize;  ///< beyond the message, bytes

/// An envelope that nobody has opened: who says to be the sender need not be. Aliases what it was read from.
struct DiscoEnvelope {
  DiscoKey sender;
  Bytes nonce;  ///< kDiscoNonceSize bytes
  Bytes box;
};

/// Does `in` begin like an envelope?
[[nodiscard]] bool has_disco_magic(Bytes in) noexcept;

/// @return Errc::truncated  shorter than kEnvelopeHeaderSize
///         Errc::malformed  another magic
[[nodiscard]] Result<DiscoEnvelope> read_envelope(Bytes in) noexcept;

/// Opens the box into `out`. Neither throws nor allocates; about 0.5 us for the messages of this protocol.
/// @return the message, at the front of `out`, or
///         Errc::oversize  `out` is too small: nothing was looked at
///         Errc::denied    not sealed by that sender for us, or changed under way
[[nodiscard]] Result<Bytes> open_envelope(const DiscoEnvelope& envelope, const SharedKey& key,
                                          MutableBytes out) noexcept;

/// Writes the envelope of `message` to the front of `out`. Neither throws nor allocates.
/// @param out  at least kEnvelopeOverhead + message.size() bytes, apart from `message`
/// @return how many bytes were written
std::size_t seal_envelope(MutableBytes out, const DiscoKey& sender, const SharedKey& key, RandomSource& nonces,
                          Bytes message) noexcept;

}  // namespace gatehouse::geneve_relay
