// The kernel's map of legs: what the program in the kernel looks packets up in.
#pragma once

#include "plugins/geneve-relay/fast_path/leg_entry.hpp"

#include <gatehouse/base/unique_fd.hpp>

namespace gatehouse::geneve_relay {

/// From any threads at once; each call is a system call of 1 to 3 microseconds. The map lives as long as this object or
/// the program has it.
class LegMap {
 public:
  /// @param most_endpoints  two legs each. 32 bytes or more for each of them are taken at once, about 310 for each leg
  ///                        that is there. As many as there are VNIs at most
  /// @throws FastPathError
  explicit LegMap(std::size_t most_endpoints);

  /// @param lane  the leg is relayed while FastPath::beat() is called for it
  /// @return Errc::exists       erase() it first
  ///         Errc::limit        the map is full, or the kernel has no memory
  ///         Errc::unsupported, Errc::invalid  as to_map_entry(): user space's
  Result<void> put(const FastKey& key, const FastTarget& target, std::uint32_t lane, SteadyTime now) const noexcept;
  /// @return what the leg carried in all; Errc::not_found
  Result<FastUse> erase(const FastKey& key) const noexcept;
  /// @return Errc::not_found
  [[nodiscard]] Result<FastUse> read(const FastKey& key) const noexcept;

  [[nodiscard]] std::size_t most_endpoints() const noexcept { return most_endpoints_; }
  [[nodiscard]] int fd() const noexcept { return fd_.get(); }

 private:
  std::size_t most_endpoints_;
  UniqueFd fd_;
};

}  // namespace gatehouse::geneve_relay
