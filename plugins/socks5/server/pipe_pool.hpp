// Pipes for splice(2), lent to transfers that are large enough to pay for one. One lane's; not thread-safe.
#pragma once

#include <gatehouse/base/unique_fd.hpp>

#include <cstddef>
#include <vector>

namespace gatehouse::socks5 {

/// Two descriptors, and what the kernel holds between them.
struct Pipe {
  UniqueFd out, in;      ///< read from, written to
  std::size_t held = 0;  ///< bytes

  [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(in); }
};

class PipePool {
 public:
  static constexpr std::size_t kMost = 64;     ///< lent at once: beyond, bytes are copied
  static constexpr std::size_t kMostIdle = 8;  ///< that wait for the next one
  static constexpr int kCapacity = 1 << 18;    ///< bytes asked for; the system's default where it refuses

  PipePool() { idle_.reserve(kMostIdle); }

  /// An empty pipe, or none: too many are lent, or the system has no descriptor.
  [[nodiscard]] Pipe lend() noexcept;
  /// One that is not empty is closed with what it holds.
  void take_back(Pipe pipe) noexcept;
  /// Descriptors in use.
  [[nodiscard]] std::size_t descriptors() const noexcept { return 2 * (lent_ + idle_.size()); }

 private:
  std::vector<Pipe> idle_;
  std::size_t lent_ = 0;
};

}  // namespace gatehouse::socks5
