#include "plugins/geneve-relay/wire/disco_pair.hpp"

#include "plugins/geneve-relay/wire/raw_bytes.hpp"

#include <sodium.h>

#include <algorithm>
#include <cstring>

namespace gatehouse::geneve_relay {

static_assert(sizeof(DiscoPair) == 2 * DiscoKey::kSize);

DiscoPair::DiscoPair(const DiscoKey& left, const DiscoKey& right) noexcept
    : keys{std::min(left, right), std::max(left, right)} {}

std::uint64_t DiscoPairHash::operator()(const DiscoPair& pair) const noexcept {
  static_assert(sizeof(Secret) == crypto_shorthash_KEYBYTES && sizeof(std::uint64_t) == crypto_shorthash_BYTES);
  std::array<unsigned char, crypto_shorthash_BYTES> digest;
  crypto_shorthash(digest.data(), raw(std::as_bytes(std::span(pair.keys))), sizeof pair.keys, raw(Bytes(secret_)));
  std::uint64_t out;
  std::memcpy(&out, digest.data(), sizeof out);
  return out;
}

}  // namespace gatehouse::geneve_relay
