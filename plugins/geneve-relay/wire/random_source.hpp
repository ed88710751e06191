// Where nonces and secrets come from: an argument, so that tests can choose them.
#pragma once

#include <gatehouse/base/bytes.hpp>

namespace gatehouse::geneve_relay {

/// From one thread at a time.
class RandomSource {
 public:
  virtual ~RandomSource() = default;
  /// Fills `out` with bytes that nobody can foretell, and that were never given before.
  virtual void fill(MutableBytes out) noexcept = 0;
};

}  // namespace gatehouse::geneve_relay
