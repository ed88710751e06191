// The addresses of this machine, live: policy keeps clients away from them. One thread an object; no thread of its own.
#pragma once

#include <gatehouse/base/address.hpp>
#include <gatehouse/base/unique_fd.hpp>

#include <vector>

namespace gatehouse {

/// Sorted and without repetition.
struct AddressSet {
  std::vector<IpAddress> own;        ///< of every interface
  std::vector<IpAddress> broadcast;  ///< of every IPv4 network that an interface is in
  bool operator==(const AddressSet&) const = default;
};

/// Reads them now. A few system calls. @throws std::system_error
[[nodiscard]] AddressSet read_own_addresses();

/// Notices when they may have changed (rtnetlink, RTNLGRP_IPV4_IFADDR and RTNLGRP_IPV6_IFADDR).
class AddressWatch {
 public:
  /// @throws std::system_error
  AddressWatch();
  /// Readable when there is something for drain().
  [[nodiscard]] int fd() const noexcept { return socket_.get(); }
  /// Takes all that is waiting. @return true when the addresses are to be read again
  [[nodiscard]] bool drain() noexcept;

 private:
  UniqueFd socket_;
};

}  // namespace gatehouse
