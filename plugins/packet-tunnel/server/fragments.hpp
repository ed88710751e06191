// What the first fragment of a packet has decided for those that follow it, which have no ports to be judged by.
//
// Beyond this host's NAT a packet is put together again, in memory that all clients share with the host (4 MiB,
// net.ipv4.ipfrag_high_thresh): so what one client may have there that is not whole yet is bounded here.
#pragma once

#include "plugins/packet-tunnel/server/flow.hpp"

#include <gatehouse/base/clock.hpp>
#include <gatehouse/packet/ip_packet.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>

namespace gatehouse::packet_tunnel {

/// One of a session and direction, so that nobody's fragments push out another's: those that are under way. A packet is
/// whole when its fragments have come in their order, as those of a stream do. Not thread-safe.
class Fragments {
 public:
  static constexpr std::size_t kPlaces = 32;
  static constexpr Nanoseconds kLife = std::chrono::seconds(30);  ///< as the kernel's net.ipv4.ipfrag_time
  /// What a client's packets that are not whole may take of the kernel: the longest one, and some more.
  static constexpr std::size_t kMostWaiting = 128 * 1024;
  static constexpr std::size_t kKernelCost = 768;  ///< that it takes for each fragment, beside its bytes

  /// `is_bounded`: false, and the oldest gives way where there is no place.
  explicit Fragments(bool is_bounded) noexcept : is_bounded_(is_bounded) {}

  /// The first one would pass. `is_transparent`: its addresses are those of a query to the DNS address.
  /// @return false: too much is under way, it must not
  [[nodiscard]] bool remember(const IpPacket& facts, Bytes packet, bool is_transparent, SteadyTime now) noexcept {
    if (!facts.more_fragments) return true;  // IPv6 has such: it is all there is
    const Key key = key_of(facts, packet);
    Place* place = place_of(key);
    if (place == nullptr) place = &*std::ranges::min_element(places_, {}, &Place::until);
    const bool is_repeated = place->key == key && place->until > now;
    if (is_bounded_ && ((place->until > now && !is_repeated) || !has_room(facts, now))) return false;
    const std::size_t before = is_repeated ? place->cost : 0;
    *place = {key, now + kLife, is_transparent, end_of(facts), before + cost_of(facts)};
    return true;
  }
  struct Found {
    bool is_there = false, is_transparent = false;
    bool is_too_much = false;  ///< as remember() says it
  };
  /// May this later one pass?
  [[nodiscard]] Found find(const IpPacket& facts, Bytes packet, SteadyTime now) noexcept {
    Place* const place = place_of(key_of(facts, packet));
    if (place == nullptr || place->until <= now) return {};
    const Found found{true, place->is_transparent, is_bounded_ && !has_room(facts, now)};
    if (found.is_too_much) return found;
    place->cost += cost_of(facts);
    if (facts.fragment_offset == place->next) place->next = end_of(facts);
    const bool is_whole = !facts.more_fragments && place->next == end_of(facts);
    if (is_whole) *place = {};
    return found;
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
    std::uint32_t next = 0;  // where the fragment begins that is to come
    std::size_t cost = 0;    // of the kernel's memory
  };
  static Key key_of(const IpPacket& facts, Bytes packet) noexcept {
    return {facts.source_address(packet), facts.destination_address(packet), facts.fragment_id, facts.protocol};
  }
  static std::uint32_t end_of(const IpPacket& facts) noexcept {
    return facts.fragment_offset + static_cast<std::uint32_t>(facts.transport_size());
  }
  static std::size_t cost_of(const IpPacket& facts) noexcept { return facts.size + kKernelCost; }
  [[nodiscard]] Place* place_of(const Key& key) noexcept {
    const auto found = std::ranges::find(places_, key, &Place::key);
    return found == places_.end() ? nullptr : &*found;
  }
  [[nodiscard]] bool has_room(const IpPacket& facts, SteadyTime now) const noexcept {
    std::size_t waiting = cost_of(facts);
    for (const Place& place : places_)
      if (place.until > now) waiting += place.cost;
    return waiting <= kMostWaiting;
  }

  const bool is_bounded_;
  std::array<Place, kPlaces> places_{};
};

}  // namespace gatehouse::packet_tunnel
