// Tells when the host's links, addresses or routes change: another network, the end of a sleep. Costs nothing
// meanwhile.
#pragma once

#include <gatehouse/async/poller.hpp>

#include <functional>

namespace gatehouse::packet_tunnel {

class NetworkWatch final : public Readiness {
 public:
  /// @param on_change  once for each batch of the kernel's notices; on the poller's thread
  /// Where the kernel has no netlink for us, nothing is ever told.
  NetworkWatch(Poller& poller, std::function<void()> on_change);
  ~NetworkWatch();

 private:
  void on_ready(std::uint32_t events) override;

  Poller& poller_;
  std::function<void()> on_change_;
  UniqueFd fd_;
};

}  // namespace gatehouse::packet_tunnel
