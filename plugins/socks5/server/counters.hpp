// What a lane counts. Every request that is refused and every datagram that does not arrive has a cause here.
#pragma once

#include "plugins/socks5/wire/request.hpp"

#include <gatehouse/plugin/policy_client.hpp>

#include <array>

namespace gatehouse::socks5 {

/// Why a datagram went nowhere, in either direction.
enum class Drop : std::uint8_t {
  malformed,    ///< no SOCKS header, or one without sense
  fragment,     ///< FRAG is not 0
  foreign,      ///< not from the client that asked for the association
  denied,       ///< by policy; the reason is counted in `denied`
  flow_limit,   ///< a traffic rule on flows, by reason in `flows_refused`
  rate,         ///< a traffic rule on bytes a second
  quota,        ///< a traffic rule on bytes a day or month
  unresolved,   ///< its name has no address, too many wait for one, or its client left first
  unsolicited,  ///< from somebody that the client has not sent to
  oversize,     ///< no room for the header before it
  send_failed,  ///< the kernel refused it: no route, a full socket, a firewall
  count
};

/// Why a stream was ended before or in place of its request.
enum class Refusal : std::uint8_t {
  policy,      ///< admission, or a traffic rule on sessions
  no_socket,   ///< descriptors are short
  no_session,  ///< the gateway keeps no more sessions
  protocol,    ///< no SOCKS5
  method,      ///< no way to say who it is that this listener takes
  login,       ///< a token that is nobody's
  slow,        ///< the request did not come in time
  count
};

class Counters {
 public:
  explicit Counters(const LaneContext& context);

  void drop(Drop cause, std::uint64_t n = 1) noexcept { drops_[static_cast<std::size_t>(cause)].add(n); }
  void refuse(Refusal cause) noexcept { refusals_[static_cast<std::size_t>(cause)].add(); }
  void reply(Reply reply) noexcept { replies_[static_cast<std::size_t>(reply)].add(); }
  void deny(const Verdict& verdict) noexcept { denied_[index_of(verdict.reason)].add(); }
  void refuse_flow(const Verdict& why) noexcept { flows_refused_[index_of(why.reason)].add(); }

  Counter streams, streams_opened, streams_recycled, tunnels, tunnels_cut, associations, flows_recycled;
  Counter bytes_up, bytes_down, bytes_spliced, datagrams_up, datagrams_down;
  Counter look_ups, look_up_failures, blocked_answers, accept_pauses;

 private:
  /// That of a later version counts as none.
  static constexpr std::size_t index_of(Reason reason) noexcept {
    const auto index = static_cast<std::size_t>(reason);
    return index < kReasons ? index : 0;
  }
  std::array<Counter, static_cast<std::size_t>(Drop::count)> drops_;
  std::array<Counter, static_cast<std::size_t>(Refusal::count)> refusals_;
  std::array<Counter, kReplies> replies_;
  std::array<Counter, kReasons> denied_, flows_refused_;
};

}  // namespace gatehouse::socks5
