// What the kernel delivers to this host, live: policy keeps clients away from it. One thread an object; no thread of
// its own.
#pragma once

#include <gatehouse/base/prefix.hpp>
#include <gatehouse/base/unique_fd.hpp>

#include <vector>

namespace gatehouse {

/// Sorted and without repetition.
struct OwnAddresses {
  std::vector<Prefix> own;        ///< local and anycast routes, and the addresses of every interface
  std::vector<Prefix> broadcast;  ///< broadcast routes, and the last address of every interface's IPv4 networks
  bool operator==(const OwnAddresses&) const = default;
};

/// Reads them now, from the routes of all tables and both families (rtnetlink), and from the interfaces. A route of
/// everything (0.0.0.0/0, ::/0) counts in the tables `local`, `main` and `default` only: in another one it serves a
/// transparent proxy, which only marked packets reach.
/// Cost: a few system calls, in which the kernel walks its routes. @throws std::system_error
[[nodiscard]] OwnAddresses read_own_addresses();

/// Notices when they may have changed: by addresses, links, and such routes as count, or as take the place of
/// another one, which may have counted. No other route wakes anybody.
class OwnAddressWatch {
 public:
  /// @throws std::system_error
  OwnAddressWatch();
  /// Readable when there is something for drain().
  [[nodiscard]] int fd() const noexcept { return socket_.get(); }
  /// Takes all that is waiting. @param known  as they were read last @return true when they are to be read again
  [[nodiscard]] bool drain(const OwnAddresses& known) noexcept;

 private:
  UniqueFd socket_;
};

}  // namespace gatehouse
