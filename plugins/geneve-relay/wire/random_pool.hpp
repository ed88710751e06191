// The system's random bytes, fetched many at a time: a system call for each challenge would cost more than its box.
#pragma once

#include "plugins/geneve-relay/wire/random_source.hpp"

#include <array>

namespace gatehouse::geneve_relay {

/// One for each thread; a process that forks must not go on with it. What was given is wiped.
class RandomPool final : public RandomSource {
 public:
  RandomPool() noexcept = default;
  ~RandomPool() override;
  RandomPool(const RandomPool&) = delete;
  RandomPool& operator=(const RandomPool&) = delete;

  /// Calls the system once for 4 KiB. Ends the process when that has no random bytes, as libsodium does.
  void fill(MutableBytes out) noexcept override;

 private:
  std::array<std::byte, 4096> bytes_{};
  std::size_t left_ = 0;  // at the end of bytes_
};

}  // namespace gatehouse::geneve_relay
