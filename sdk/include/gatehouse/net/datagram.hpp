// What came at a listening UDP socket, and what leaves it.
#pragma once

#include <gatehouse/base/address.hpp>
#include <gatehouse/base/bytes.hpp>

#include <cstddef>
#include <cstdint>

namespace gatehouse {

/// A datagram that came, and where an answer to it goes: to `remote`, from `local`. Or several of them that came from
/// one client in one piece: `payload` then is one behind the other, each of `segment` bytes, the last of as many or
/// fewer.
struct Datagram {
  MutableBytes payload;       ///< in the listener's buffer: valid during the callback
  Endpoint remote;            ///< who sent it, or is to get it
  IpAddress local;            ///< the address that was asked; for a broadcast or multicast the one to answer from
  std::uint32_t link = 0;     ///< interface index, for a link-local `remote` only
  std::uint16_t segment = 0;  ///< bytes of each datagram in `payload`; 0: it is a single one

  /// How many datagrams these are, 1 at least.
  [[nodiscard]] std::size_t count() const noexcept {
    return segment == 0 || payload.empty() ? 1 : (payload.size() + segment - 1) / segment;
  }
};

}  // namespace gatehouse
