// A client's or the relay's public disco key: what an endpoint is allocated for, and what a box is sealed to.
#pragma once

#include <gatehouse/base/bytes.hpp>
#include <gatehouse/base/error.hpp>

#include <array>
#include <compare>
#include <string>
#include <string_view>

namespace gatehouse::geneve_relay {

/// 32 bytes of Curve25519, ordered bytewise. A value.
struct DiscoKey {
  static constexpr std::size_t kSize = 32;

  std::array<std::byte, kSize> bytes{};

  /// The key at the front of `in`, which has at least kSize bytes.
  [[nodiscard]] static DiscoKey from(Bytes in) noexcept;

  /// "discokey:" and 64 digits of hex, of either case.
  /// @return Errc::malformed for anything else
  [[nodiscard]] static Result<DiscoKey> parse(std::string_view text) noexcept;

  /// "discokey:" and 64 lower-case digits.
  [[nodiscard]] std::string to_string() const;
  /// "d:" and the first 16 digits: for logs and reports.
  [[nodiscard]] std::string to_short_string() const;
  /// 64 lower-case digits: the value of a credential of kind relay_key.
  [[nodiscard]] std::string to_hex() const;

  /// A point that nobody has a private key for: what is shared with it is known to all (RFC 7748, 6.1), so libsodium
  /// makes no box with it. Costs next to nothing, beside the 40 us of SharedKey::make(), which refuses the same ones.
  [[nodiscard]] bool has_small_order() const noexcept;

  auto operator<=>(const DiscoKey&) const = default;
};

}  // namespace gatehouse::geneve_relay
