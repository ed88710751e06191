#include "plugins/geneve-relay/wire/disco_envelope.hpp"

#include "plugins/geneve-relay/wire/raw_bytes.hpp"

#include <sodium.h>

#include <algorithm>
#include <cassert>

namespace gatehouse::geneve_relay {
namespace {

static_assert(kDiscoNonceSize == crypto_box_NONCEBYTES && kDiscoTagSize == crypto_box_MACBYTES);

constexpr std::array<std::byte, kDiscoMagicSize> kMagic = {std::byte{0x54}, std::byte{0x53}, std::byte{0xf0},
                                                           std::byte{0x9f}, std::byte{0x92}, std::byte{0xac}};

}  // namespace

bool has_disco_magic(Bytes in) noexcept {
  return in.size() >= kDiscoMagicSize && std::ranges::equal(in.first(kDiscoMagicSize), kMagic);
}

Result<DiscoEnvelope> read_envelope(Bytes in) noexcept {
  if (in.size() < kEnvelopeHeaderSize) return Errc::truncated;
  if (!has_disco_magic(in)) return Errc::malformed;
  DiscoEnvelope out;
  out.sender = DiscoKey::from(in.subspan(kDiscoMagicSize));
  out.nonce = in.subspan(kDiscoMagicSize + DiscoKey::kSize, kDiscoNonceSize);
  out.box = in.subspan(kEnvelopeHeaderSize);
  return out;
}

Result<Bytes> open_envelope(const DiscoEnvelope& envelope, const SharedKey& key, MutableBytes out) noexcept {
  if (envelope.box.size() < kDiscoTagSize) return Errc::denied;
  const std::size_t size = envelope.box.size() - kDiscoTagSize;
  if (size > out.size()) return Errc::oversize;
  if (crypto_box_open_easy_afternm(raw(out), raw(envelope.box), envelope.box.size(), raw(envelope.nonce),
                                   raw(key.bytes())) != 0)
    return Errc::denied;
  return Bytes(out.first(size));
}

std::size_t seal_envelope(MutableBytes out, const DiscoKey& sender, const SharedKey& key, RandomSource& nonces,
                          Bytes message) noexcept {
  assert(out.size() >= kEnvelopeOverhead + message.size());
  const MutableBytes nonce = out.subspan(kDiscoMagicSize + DiscoKey::kSize, kDiscoNonceSize);
  std::ranges::copy(kMagic, out.begin());
  std::ranges::copy(sender.bytes, out.subspan(kDiscoMagicSize).begin());
  nonces.fill(nonce);
  crypto_box_easy_afternm(raw(out.subspan(kEnvelopeHeaderSize)), raw(message), message.size(), raw(Bytes(nonce)),
                          raw(key.bytes()));
  return kEnvelopeOverhead + message.size();
}

}  // namespace gatehouse::geneve_relay
