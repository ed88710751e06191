// A rate for each source, in a table of fixed size: for what strangers may ask for before anybody knows them.
#pragma once

#include <gatehouse/base/address.hpp>
#include <gatehouse/base/clock.hpp>
#include <gatehouse/base/prefix.hpp>
#include <gatehouse/table/gcra.hpp>

#include <array>
#include <cstdint>

namespace gatehouse {

/// A source is an IPv4 address or an IPv6 /64; all of an IPv6 /48 together have kShares times as much. Where all places
/// that it could have are taken by others, the one that was used longest ago is given away: whoever floods from many
/// sources makes others begin with a full bucket again. A value; one lane's. Some 40 ns a prefix and no allocation a
/// take.
class SourceLimits {
 public:
  /// @param rate  a second, of one source  @param burst  that a source may take at once after a pause
  SourceLimits(std::uint64_t rate, std::uint64_t burst) noexcept : rate_(rate), burst_(burst) {}

  /// Takes one of `source`. @return 0, or how long until there is one
  [[nodiscard]] Nanoseconds take(const IpAddress& source, SteadyTime now) noexcept {
    const IpAddress address = source.unmapped();
    if (address.family() == Family::none) return take_of(Prefix(), 1, now);
    if (address.is_v4()) return take_of(Prefix(address, 32), 1, now);
    const Nanoseconds wait = take_of(Prefix(address, 64), 1, now);
    return wait == Nanoseconds(0) ? take_of(Prefix(address, 48), kShares, now) : wait;
  }

  static constexpr std::uint64_t kShares = 8;  ///< times what a source has, for an IPv6 /48

 private:
  Nanoseconds take_of(const Prefix& network, std::uint64_t shares, SteadyTime now) noexcept {
    const auto at = static_cast<std::uint64_t>(now.time_since_epoch().count());
    const std::uint64_t wait = place_of(network, at).limit.take(at, 1, rate_ * shares, burst_ * shares);
    return Nanoseconds(static_cast<std::int64_t>(wait));
  }

  static constexpr std::size_t kPlaces = 1024, kProbes = 8;
  struct Place {
    Prefix source;
    Gcra limit;
    std::uint64_t used_at = 0;
  };
  Place& place_of(const Prefix& source, std::uint64_t now) noexcept {
    const std::size_t hash = hash_value(source.address());
    Place* oldest = nullptr;
    for (std::size_t i = 0; i < kProbes; ++i) {
      Place& place = places_[(hash + i) % kPlaces];
      if (place.source == source) return use(place, now);
      if (oldest == nullptr || place.used_at < oldest->used_at) oldest = &place;
    }
    *oldest = {source, Gcra(), now};
    return *oldest;
  }
  static Place& use(Place& place, std::uint64_t now) noexcept {
    place.used_at = now;
    return place;
  }

  std::uint64_t rate_, burst_;
  std::array<Place, kPlaces> places_;
};

}  // namespace gatehouse
