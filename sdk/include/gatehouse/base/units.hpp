// Quantities that must not be mistaken for one another.
#pragma once

#include <compare>
#include <cstdint>

namespace gatehouse {

/// A rate of traffic; 0 = no limit, wherever a rate limits something.
struct BytesPerSecond {
  std::uint64_t value = 0;  ///< bytes a second
  auto operator<=>(const BytesPerSecond&) const = default;
};

}  // namespace gatehouse
