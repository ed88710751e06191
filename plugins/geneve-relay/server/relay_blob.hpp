// What the host keeps of an endpoint for this plugin, so that its clients go on after a restart without a word.
//
//   vni 4 | LamportID 8 | client keys 2 x 32 | 2 x leg | listener's name
//   leg   family 1 (0: not bound, and nothing follows) | local port 2 | remote port 2 | scope 4, of IPv6 alone |
//         remote address 4 or 16 | local address likewise
//
// A hundred thousand of these are in memory: it is as short as that. Version 1 had every field of every leg.
#pragma once

#include "plugins/geneve-relay/relay/endpoint.hpp"

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace gatehouse::geneve_relay {

/// Borrows the listener's name.
struct RelayBlob {
  static constexpr std::uint32_t kVersion = 2;
  static constexpr std::size_t kMostListenerName = 255;

  std::uint32_t vni = 0;
  std::uint64_t lamport_id = 0;
  DiscoPair clients;
  std::array<LegAddress, 2> legs;  ///< as they are bound
  std::string_view listener;       ///< that it was asked for at: policy knows clients by it

  /// Integers big-endian; what is beyond kMostListenerName is cut off.
  [[nodiscard]] std::vector<std::byte> write() const;
  /// None: a later version's, or damaged. A view of `blob`.
  [[nodiscard]] static std::optional<RelayBlob> read(std::uint32_t version, Bytes blob);

  bool operator==(const RelayBlob&) const = default;
};

}  // namespace gatehouse::geneve_relay
