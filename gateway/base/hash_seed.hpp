// Seeds for what clients could otherwise make collide: names in lists, addresses in limiters.
#pragma once

#include "gateway/base/random.hpp"
#include "policy/match/name_suffixes.hpp"

#include <span>

namespace gatehouse {

/// Another one at each call. @throws std::system_error
[[nodiscard]] inline policy::HashSeed draw_hash_seed() {
  policy::HashSeed out;
  fill_random(std::as_writable_bytes(std::span(&out, 1)));
  return out;
}

}  // namespace gatehouse
