// What a lane knows of the keys that ask it for endpoints by sealed messages, in a table of fixed size: so that a box
// in the name of one of them costs no multiplication on the curve each time, and each has a bound of its own.
#pragma once

#include "plugins/geneve-relay/wire/disco_secret.hpp"

#include <gatehouse/base/clock.hpp>
#include <gatehouse/table/gcra.hpp>

#include <algorithm>
#include <optional>
#include <span>
#include <vector>

namespace gatehouse::geneve_relay {

/// A key that asks, or in whose name somebody does.
struct AskerKey {
  DiscoKey key;
  SharedKey shared;
  SteadyTime opened_at{};  ///< when a box of it last did; the beginning of time: never
  Gcra requests;           ///< that were its own: their box has opened
};

/// One lane's; not thread-safe. 128 KB; no call allocates. Whoever has no private key of a known one makes it forget
/// none whose boxes have opened, as long as there are others to forget.
class AskerKeys {
 public:
  static constexpr std::size_t kWays = 8, kRows = 128;

  AskerKeys() : places_(kWays * kRows) {}

  /// Null: it is not known. Until the next add().
  [[nodiscard]] AskerKey* find(const DiscoKey& key) noexcept {
    const auto row = row_of(key);
    const auto at = std::ranges::find_if(row, [&](const auto& place) { return place && place->key == key; });
    return at == row.end() ? nullptr : &**at;
  }
  /// In an empty place of its row, or in that of the one whose boxes opened longest ago, or never.
  /// @param key  that find() does not find
  AskerKey& add(const DiscoKey& key, const SharedKey& shared) noexcept {
    const auto opened_at = [](const auto& place) { return place ? place->opened_at : SteadyTime::min(); };
    return std::ranges::min_element(row_of(key), {}, opened_at)->emplace(AskerKey{key, shared, {}, {}});
  }

 private:
  /// The first byte of a key has chosen the lane.
  [[nodiscard]] std::span<std::optional<AskerKey>> row_of(const DiscoKey& key) noexcept {
    return std::span(places_).subspan(std::to_integer<std::size_t>(key.bytes[1]) % kRows * kWays, kWays);
  }

  std::vector<std::optional<AskerKey>> places_;
};

}  // namespace gatehouse::geneve_relay
