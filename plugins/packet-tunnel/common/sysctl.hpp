// Kernel settings under /proc/sys, with the values that they had.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace gatehouse::packet_tunnel {

/// The value of "net/ipv4/ip_forward" (slashes, since names of interfaces have dots), without its newline.
/// @return none: there is no such setting, which for net/ipv6 means that this host has no IPv6
[[nodiscard]] std::optional<std::string> read_sysctl(const std::string& name);

/// @throws HostError  a sentence: CAP_NET_ADMIN is missing, /proc/sys is mounted read-only (as in most containers), ...
void write_sysctl(const std::string& name, const std::string& value);

/// What was changed, to be put back. Not thread-safe.
class SysctlChanges {
 public:
  /// Sets it where it has another value, and remembers the one that it had at first. @throws HostError
  /// @return the value that it had, where that was another one
  std::optional<std::string> set(const std::string& name, const std::string& value);

  /// Puts back, last first, what still has the value that was set here; what somebody else has changed since stays.
  /// What cannot be put back is left.
  void restore() noexcept;

 private:
  struct Change {
    std::string name, before, value;
  };
  std::vector<Change> changes_;
};

}  // namespace gatehouse::packet_tunnel
