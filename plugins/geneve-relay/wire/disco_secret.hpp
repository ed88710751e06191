// Secret keys: the relay's own, and what it shares with a client.
#pragma once

#include "plugins/geneve-relay/wire/disco_key.hpp"
#include "plugins/geneve-relay/wire/random_source.hpp"

#include <optional>

namespace gatehouse::geneve_relay {

/// 32 secret bytes, wiped when they go.
class SecretBytes {
 public:
  static constexpr std::size_t kSize = 32;

  SecretBytes() noexcept = default;
  /// `bytes`: kSize of them.
  explicit SecretBytes(Bytes bytes) noexcept;
  SecretBytes(const SecretBytes&) noexcept = default;
  SecretBytes& operator=(const SecretBytes&) noexcept = default;
  ~SecretBytes();

  [[nodiscard]] Bytes bytes() const noexcept { return bytes_; }
  [[nodiscard]] MutableBytes bytes() noexcept { return bytes_; }

 private:
  std::array<std::byte, kSize> bytes_{};
};

/// The private half of a disco key.
class DiscoSecret {
 public:
  /// `bytes`: 32 of them, any.
  explicit DiscoSecret(Bytes bytes) noexcept : bytes_(bytes) {}
  [[nodiscard]] static DiscoSecret make(RandomSource& random) noexcept;

  /// Costs a multiplication on the curve, some 15 us.
  [[nodiscard]] DiscoKey public_key() const noexcept;
  [[nodiscard]] Bytes bytes() const noexcept { return bytes_.bytes(); }

 private:
  DiscoSecret() noexcept = default;

  SecretBytes bytes_;
};

/// What two keys have in common: boxes are sealed and opened with it. Made once for each leg of an endpoint.
class SharedKey {
 public:
  /// Costs a multiplication on the curve, some 40 us. None: `peer` is a point of low order, so no client's key.
  [[nodiscard]] static std::optional<SharedKey> make(const DiscoKey& peer, const DiscoSecret& own) noexcept;
  [[nodiscard]] Bytes bytes() const noexcept { return bytes_.bytes(); }

 private:
  SharedKey() noexcept = default;

  SecretBytes bytes_;
};

}  // namespace gatehouse::geneve_relay
