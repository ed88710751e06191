// The two clients of an endpoint, in an order that does not depend on who of them asked.
#pragma once

#include "plugins/geneve-relay/wire/disco_key.hpp"

#include <cstdint>

namespace gatehouse::geneve_relay {

/// Two keys, the bytewise smaller one first. A client's place in it is its leg.
struct DiscoPair {
  DiscoPair() noexcept = default;
  DiscoPair(const DiscoKey& left, const DiscoKey& right) noexcept;

  std::array<DiscoKey, 2> keys;

  auto operator<=>(const DiscoPair&) const = default;
};

/// Hashes pairs by SipHash-2-4 under a secret: clients choose their keys, and must not choose their place in a table.
class DiscoPairHash {
 public:
  using Secret = std::array<std::byte, 16>;

  explicit DiscoPairHash(const Secret& secret) noexcept : secret_(secret) {}
  [[nodiscard]] std::uint64_t operator()(const DiscoPair& pair) const noexcept;

 private:
  Secret secret_;
};

}  // namespace gatehouse::geneve_relay
