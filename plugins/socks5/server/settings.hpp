// socks5's options as values. Immutable: a change at run time is a new object.
#pragma once

#include <gatehouse/base/address.hpp>
#include <gatehouse/base/clock.hpp>
#include <gatehouse/plugin/blocked_answer.hpp>
#include <gatehouse/plugin/options.hpp>

#include <vector>

namespace gatehouse::socks5 {

struct Socks5Settings {
  /// Throws std::invalid_argument with a sentence for what the schema cannot judge.
  explicit Socks5Settings(const Options& options);
  /// Everything may change while lanes run.
  void check_change(const Socks5Settings&) const {}

  /// The own address that what goes to one of `family` is to leave from, the same for each `whose`; family none: the
  /// kernel's choice.
  [[nodiscard]] IpAddress egress(Family family, std::size_t whose) const noexcept;

  bool system_resolvers = false;    ///< the nameservers of /etc/resolv.conf come first
  std::vector<Endpoint> resolvers;  ///< then these, in order
  Nanoseconds resolver_timeout{};
  Nanoseconds connect_timeout{};  ///< of all attempts together, the look-up of the name included
  Nanoseconds tunnel_idle{};      ///< where no traffic rule says; 0 = none
  std::vector<IpAddress> egress_v4, egress_v6;
  BlockedAnswer blocked_answer;
  bool splice = true;
};

}  // namespace gatehouse::socks5
