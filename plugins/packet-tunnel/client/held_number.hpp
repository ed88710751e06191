// A number that one process of this network namespace has: of its table of routes, and the mark on its own packets.
#pragma once

#include <gatehouse/base/unique_fd.hpp>

#include <cstdint>
#include <functional>

namespace gatehouse::packet_tunnel {

/// Two clients that begin at one time see neither's rules yet: so a number is held from before its first use, by a Unix
/// socket of an abstract name, which the kernel takes away with the process.
class HeldNumber {
 public:
  HeldNumber() noexcept = default;  ///< none
  /// The first from `first` on that nobody holds and `is_taken` says no to.
  /// @throws std::runtime_error  a sentence: there is none among a thousand
  HeldNumber(std::uint32_t first, const std::function<bool(std::uint32_t)>& is_taken);

  [[nodiscard]] std::uint32_t value() const noexcept { return value_; }  ///< 0 = none

 private:
  UniqueFd held_;
  std::uint32_t value_ = 0;
};

}  // namespace gatehouse::packet_tunnel
