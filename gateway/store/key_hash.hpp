// Hashes for the tables of sessions and leases, whose keys clients choose.
#pragma once

#include "gateway/base/hash_seed.hpp"
#include "policy/match/multiply.hpp"

#include <bit>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace gatehouse {

/// A hash of one to three byte strings in their order, with a secret of its own: nobody outside can make keys that
/// collide. All 64 bits are equally good. Thread-safe; about 10 ns a string.
class KeyHash {
 public:
  template <class... Strings>
  [[nodiscard]] std::uint64_t operator()(std::string_view first, const Strings&... more) const noexcept {
    std::uint64_t hash = policy::hash_name(first, seed_);
    ((hash = policy::fold(hash ^ seed_.first, std::rotl(policy::hash_name(more, seed_), 32) ^ seed_.second)), ...);
    return hash;
  }
  /// Which of `parts` tables. By bits that a Boost flat set does not look at: it takes the highest and the lowest.
  [[nodiscard]] static constexpr std::size_t part(std::uint64_t hash, std::size_t parts) noexcept {
    return (hash >> 8U) % parts;
  }

 private:
  policy::HashSeed seed_ = draw_hash_seed();
};

/// Half of a KeyHash, for records that carry it: none of the bits that part() of up to 2^24 tables goes by.
[[nodiscard]] constexpr std::uint32_t carried(std::uint64_t hash) noexcept {
  return static_cast<std::uint32_t>(hash >> 32U);
}

/// For a Boost flat set of pointers to what has its carried() hash as `hash`, and is looked for by what has it too. The
/// set takes the highest and the lowest bits.
struct CarriedHash {
  using is_transparent = void;
  using is_avalanching = void;
  template <class Carrier>
  std::size_t operator()(const Carrier& carrier) const noexcept {
    if constexpr (std::is_pointer_v<Carrier>) {
      return spread(carrier->hash);
    } else {
      return spread(carrier.hash);
    }
  }

 private:
  static constexpr std::size_t spread(std::uint32_t hash) noexcept { return std::uint64_t{hash} << 32U | hash; }
};

/// Asks for all of `object` at once, where reading it piece by piece would wait for the memory several times.
template <class Object>
void prefetch(const Object& object) noexcept {
  constexpr std::size_t kCacheLine = 64;
  const char* const begin = reinterpret_cast<const char*>(&object);
  for (std::size_t i = 0; i < sizeof object; i += kCacheLine) __builtin_prefetch(begin + i);
}

}  // namespace gatehouse
