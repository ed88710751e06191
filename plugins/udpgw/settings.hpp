// udpgw's options as values. Immutable: a change at run time is a new object.
#pragma once

#include <gatehouse/base/address.hpp>
#include <gatehouse/base/clock.hpp>
#include <gatehouse/plugin/blocked_answer.hpp>
#include <gatehouse/plugin/options.hpp>

#include <vector>

namespace gatehouse::udpgw {

struct UdpgwSettings {
  /// Throws std::invalid_argument with a sentence for what the schema cannot judge.
  explicit UdpgwSettings(const Options& options);
  /// Everything may change while lanes run.
  void check_change(const UdpgwSettings&) const {}

  bool system_resolvers = false;    ///< the nameservers of /etc/resolv.conf come first
  std::vector<Endpoint> resolvers;  ///< then these, in order
  BlockedAnswer blocked_answer;
  Nanoseconds resolver_timeout{};
  Nanoseconds stream_idle{};  ///< 0 = none
  Nanoseconds fin_grace{};
  std::size_t client_buffer = 0;  ///< bytes of replies that wait for one client
  std::vector<IpAddress> egress_v4, egress_v6;
  bool udp_segment = true;
};

}  // namespace gatehouse::udpgw
