// What the first fragment of a packet has decided for those that follow it, which have no ports to be judged by.
#pragma once

#include "plugins/packet-tunnel/server/flow.hpp"

#include <gatehouse/base/clock.hpp>
#include <gatehouse/packet/ip_packet.hpp>

#include <array>
#include <chrono>
#include <cstdint>

namespace gatehouse::packet_tunnel {

/// One of a session and direction, so that nobody's fragments push out another's: a small cache of those that are under
/// way, the oldest of a place gives way. Not thread-safe.
class Fragments {
 public:
  static constexpr std::size_t kPlaces = 32;
  static constexpr Nanoseconds kLife = std::chrono::seconds(30);  ///< as the kernel's net.ipv4.ipfrag_time

  /// The first one has passed. `is_transparent`: its addresses are those of a query to the DNS address.
  void remember(const IpPacket& facts, Bytes packet, bool is_transparent, SteadyTime now) noexcept {
    Place& place = places_[hash(facts, packet) % kPlaces];
    place = {key_of(facts, packet), now + kLife, is_transparent};
  }
  struct Found {
    bool is_there = false, is_transparent = false;
  };
  /// May this later one pass?
  [[nodiscard]] Found find(const IpPacket& facts, Bytes packet, SteadyTime now) const noexcept {
    const Place& place = places_[hash(facts, packet) % kPlaces];
    return {place.until > now && place.key == key_of(facts, packet), place.is_transparent};
  }

 private:
  struct Key {
    IpAddress source, destination;
    std::uint32_t id = 0;
    std::uint8_t protocol = 0;
    bool operator==(const Key&) const = default;
  };
  struct Place {
    Key key;
    SteadyTime until{};
    bool is_transparent = false;
  };
  static Key key_of(const IpPacket& facts, Bytes packet) noexcept {
    return {facts.source_address(packet), facts.destination_address(packet), facts.fragment_id, facts.protocol};
  }
  static std::size_t hash(const IpPacket& facts, Bytes packet) noexcept {
    return (facts.fragment_id * 0x9e3779b1u ^ hash_value(facts.destination_address(packet))) >> 3;
  }

  std::array<Place, kPlaces> places_{};
};

}  // namespace gatehouse::packet_tunnel
