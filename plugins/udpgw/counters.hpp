// What a lane counts. Every datagram that does not arrive has a cause here.
#pragma once

#include <gatehouse/plugin/policy_client.hpp>

#include <array>

namespace gatehouse::udpgw {

enum class Drop : std::uint8_t {
  malformed,       ///< a frame too short for its flags
  oversize,        ///< a payload that no datagram, or no frame, can carry
  denied,          ///< by policy; the reason is counted in `denied`
  flow_limit,      ///< a traffic rule on flows, by reason in `flows_refused`
  rate,            ///< a traffic rule on bytes a second
  quota,           ///< a traffic rule on bytes a day or month: until the next one, or an edit
  no_socket,       ///< the system gave no descriptor or port, with nothing to recycle
  no_resolver,     ///< a DNS frame while no resolver is known
  send_failed,     ///< the kernel refused the datagram: no route, port 0, a firewall
  client_buffer,   ///< the client does not read fast enough
  memory,          ///< the same, and all clients together have too much that waits
  forward_closed,  ///< a reply that waited when its forward was rebound, recycled or cut
  stream_ended,    ///< what waited in either direction when the stream ended
  count
};

class Counters {
 public:
  explicit Counters(const LaneContext& context) {
    const Host& host = context.host;
    auto* const lane = context.lane;
    constexpr std::array<std::string_view, static_cast<std::size_t>(Drop::count)> kCauses = {
        "malformed",   "oversize",    "denied",        "flow_limit", "rate",           "quota",       "no_socket",
        "no_resolver", "send_failed", "client_buffer", "memory",     "forward_closed", "stream_ended"};
    for (std::size_t i = 0; i < kCauses.size(); ++i)
      drops_[i] =
          host.counter(lane, "drops", "Datagrams and frames that went nowhere, by cause.", {{"cause", kCauses[i]}});
    for (std::size_t reason = 0; reason < kReasons; ++reason)
      denied_[reason] = host.counter(lane, "denied", "Datagrams that policy refused, by reason.",
                                     {{"reason", to_text(static_cast<Reason>(reason))}});
    for (std::size_t reason = 0; reason < kReasons; ++reason)
      flows_refused_[reason] = host.counter(lane, "flows_refused", "Forwards that a traffic rule did not let open.",
                                            {{"reason", to_text(static_cast<Reason>(reason))}});
    constexpr std::string_view kDatagrams = "Datagrams passed on: up to a socket, down to the stream's queue.";
    constexpr std::string_view kBytes = "Payload bytes of these datagrams.";
    datagrams_up = host.counter(lane, "datagrams", kDatagrams, {{"direction", "up"}});
    datagrams_down = host.counter(lane, "datagrams", kDatagrams, {{"direction", "down"}});
    bytes_up = host.counter(lane, "bytes", kBytes, {{"direction", "up"}});
    bytes_down = host.counter(lane, "bytes", kBytes, {{"direction", "down"}});
    constexpr std::string_view kStreamsRefused =
        "Streams closed at once: by a traffic rule, for want of descriptors, or because the gateway keeps no more "
        "sessions.";
    streams = host.gauge(lane, "streams", "Streams that are open.");
    streams_opened = host.counter(lane, "streams_opened", "Streams that were accepted.");
    streams_refused = host.counter(lane, "streams_refused", kStreamsRefused, {{"cause", "concurrent_sessions"}});
    streams_without_socket = host.counter(lane, "streams_refused", kStreamsRefused, {{"cause", "no_socket"}});
    streams_without_session = host.counter(lane, "streams_refused", kStreamsRefused, {{"cause", "no_session"}});
    forwards = host.gauge(lane, "forwards", "Forwards that are open.");
    forwards_opened = host.counter(lane, "forwards_opened", "Forwards that were opened.");
    streams_recycled = host.counter(lane, "streams_recycled", "Streams that made place for newer ones.");
    recycled = host.counter(lane, "forwards_recycled", "Forwards that made place for newer ones.");
    icmp_errors = host.counter(lane, "icmp_errors", "Errors that a destination or the way to it reported.");
    blocked_answers =
        host.counter(lane, "blocked_answers", "DNS queries answered here because policy blocks the name.");
    accept_pauses = host.counter(lane, "accept_pauses", "Pauses in accepting streams, for want of descriptors.");
  }

  void drop(Drop cause, std::uint64_t n = 1) noexcept { drops_[static_cast<std::size_t>(cause)].add(n); }
  void deny(const Verdict& verdict) noexcept {
    drop(Drop::denied);
    denied_[index_of(verdict.reason)].add();
  }
  /// A frame whose forward a traffic rule did not let open.
  void refuse_flow(const Verdict& why) noexcept {
    drop(why.reason == Reason::quota ? Drop::quota : Drop::flow_limit);
    flows_refused_[index_of(why.reason)].add();
  }

  Counter datagrams_up, datagrams_down, bytes_up, bytes_down;
  Counter streams, streams_opened, streams_refused, streams_without_socket, streams_without_session, streams_recycled;
  Counter forwards, forwards_opened, recycled;
  Counter icmp_errors, blocked_answers, accept_pauses;

 private:
  /// That of a later version counts as none.
  static constexpr std::size_t index_of(Reason reason) noexcept {
    const auto index = static_cast<std::size_t>(reason);
    return index < kReasons ? index : 0;
  }
  std::array<Counter, static_cast<std::size_t>(Drop::count)> drops_;
  std::array<Counter, kReasons> denied_, flows_refused_;
};

}  // namespace gatehouse::udpgw
