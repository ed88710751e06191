#include "plugins/geneve-relay/wire/disco_secret.hpp"

#include "plugins/geneve-relay/wire/raw_bytes.hpp"

#include <sodium.h>

#include <algorithm>

namespace gatehouse::geneve_relay {
namespace {

static_assert(DiscoKey::kSize == crypto_box_PUBLICKEYBYTES);
static_assert(SecretBytes::kSize == crypto_box_SECRETKEYBYTES && SecretBytes::kSize == crypto_box_BEFORENMBYTES);

}  // namespace

SecretBytes::SecretBytes(Bytes bytes) noexcept { std::ranges::copy(bytes.first(kSize), bytes_.begin()); }
SecretBytes::~SecretBytes() { sodium_memzero(bytes_.data(), bytes_.size()); }

DiscoSecret DiscoSecret::make(RandomSource& random) noexcept {
  DiscoSecret out;
  random.fill(out.bytes_.bytes());
  return out;
}

DiscoKey DiscoSecret::public_key() const noexcept {
  DiscoKey out;
  crypto_scalarmult_base(raw(MutableBytes(out.bytes)), raw(bytes()));
  return out;
}

std::optional<SharedKey> SharedKey::make(const DiscoKey& peer, const DiscoSecret& own) noexcept {
  SharedKey out;
  if (crypto_box_beforenm(raw(out.bytes_.bytes()), raw(Bytes(peer.bytes)), raw(own.bytes())) != 0) return std::nullopt;
  return out;
}

}  // namespace gatehouse::geneve_relay
