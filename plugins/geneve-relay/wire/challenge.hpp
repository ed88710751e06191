// The challenge of a handshake: a keyed hash of who asked, from where. The relay keeps nothing of a Bind but its
// generation, answers it on any number of paths, and an answer proves that the client receives where it sends from.
//
//   BLAKE2s-256(key = secret, VNI 4 | generation 4 | remote key 32 | source address 4 or 16 [zone as text] |
//               source port 2, little-endian [| the relay's own address 4 or 16 | binds 4])
//
// The reference's input has no local address. With it, a client proves a path, not only a place: the answer must come
// to the address that the Bind came to. And how often the client was bound before: so whoever has recorded a handshake
// cannot play it again when the client has moved on. Both addresses are of one family, so no two inputs are the same
// bytes.
#pragma once

#include "plugins/geneve-relay/wire/bind_message.hpp"
#include "plugins/geneve-relay/wire/disco_secret.hpp"

#include <gatehouse/base/address.hpp>

#include <memory>
#include <optional>

struct evp_mac_ctx_st;

namespace gatehouse::geneve_relay {

/// What a challenge is a hash of.
struct ChallengeFacts {
  std::uint32_t vni = 0;
  std::uint32_t generation = 0;  ///< 0: of the first form, which has none
  DiscoKey remote;               ///< as it stands in the message
  Endpoint source;               ///< the client, as the relay sees it
  IpAddress local;               ///< the relay, as the client sees it; none: the reference's hash
  std::uint32_t binds = 0;       ///< how often the client was bound before; counts where `local` is told
};

/// Makes challenges under one secret. From one thread at a time.
class ChallengeMaker {
 public:
  /// Allocates what make() needs.
  /// @throws std::runtime_error  OpenSSL has no BLAKE2s
  explicit ChallengeMaker(const SecretBytes& secret);

  /// About 0.3 us; allocates nothing. None: OpenSSL failed, which is nobody's challenge.
  [[nodiscard]] std::optional<Challenge> make(const ChallengeFacts& facts) noexcept;

 private:
  struct Free {
    void operator()(evp_mac_ctx_st* context) const noexcept;
  };
  std::unique_ptr<evp_mac_ctx_st, Free> context_;
};

}  // namespace gatehouse::geneve_relay
