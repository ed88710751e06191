// Until when the host remembers a session.
#pragma once

#include <gatehouse/abi.h>

#include <chrono>
#include <cstdint>

namespace gatehouse {

/// When the host ends a session by itself.
class Expiry {
 public:
  /// As it was; a new session has none.
  constexpr Expiry() noexcept = default;
  /// It stays until end().
  static constexpr Expiry never() noexcept { return Expiry(GH_EXPIRY_NEVER); }
  /// Within ten seconds after that time.
  static Expiry at(std::chrono::sys_seconds time) noexcept {
    return Expiry(static_cast<std::uint64_t>(time.time_since_epoch().count()));
  }
  [[nodiscard]] constexpr std::uint64_t to_border() const noexcept { return unix_; }

 private:
  constexpr explicit Expiry(std::uint64_t time) noexcept : unix_(time) {}
  std::uint64_t unix_ = GH_EXPIRY_SAME;
};

}  // namespace gatehouse
