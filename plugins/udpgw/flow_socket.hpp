// The socket of one UDP flow, as whoever sends on it and reads from it sees it, whoever the flow belongs to.
#pragma once

#include <gatehouse/async/poller.hpp>
#include <gatehouse/base/unique_fd.hpp>

#include <cstdint>

namespace gatehouse::udpgw {

/// A connected UDP socket in the lane's poller, which reports to this object. One lane's; not thread-safe.
struct FlowSocket : Readiness {
  UniqueFd fd;
  std::uint8_t refused_runs = 0;      ///< UDP_SEGMENT sends in a row that were too large for the path
  std::uint8_t headers = kHeadersV4;  ///< bytes of IP and UDP headers around each datagram, which rates count too

  static constexpr std::uint8_t kHeadersV4 = 28, kHeadersV6 = 48;

 protected:
  ~FlowSocket() = default;
};

}  // namespace gatehouse::udpgw
