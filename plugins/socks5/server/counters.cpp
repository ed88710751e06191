#include "plugins/socks5/server/counters.hpp"

namespace gatehouse::socks5 {

Counters::Counters(const LaneContext& context) {
  const Host& host = context.host;
  auto* const lane = context.lane;
  constexpr std::array<std::string_view, static_cast<std::size_t>(Drop::count)> kDrops = {
      "malformed", "fragment",   "foreign",     "denied",   "flow_limit", "rate",
      "quota",     "unresolved", "unsolicited", "oversize", "send_failed"};
  constexpr std::array<std::string_view, static_cast<std::size_t>(Refusal::count)> kRefusals = {
      "policy", "no_socket", "no_session", "protocol", "method", "login", "slow"};
  constexpr std::array<std::string_view, kReplies> kReplyNames = {
      "succeeded",          "general_failure", "not_allowed",           "network_unreachable",       "host_unreachable",
      "connection_refused", "ttl_expired",     "command_not_supported", "address_type_not_supported"};
  for (std::size_t i = 0; i < drops_.size(); ++i)
    drops_[i] = host.counter(lane, "drops", "Datagrams that went nowhere, by cause.", {{"cause", kDrops[i]}});
  for (std::size_t i = 0; i < refusals_.size(); ++i)
    refusals_[i] = host.counter(lane, "streams_refused", "Streams that were ended without an answer to a request.",
                                {{"cause", kRefusals[i]}});
  for (std::size_t i = 0; i < replies_.size(); ++i)
    replies_[i] = host.counter(lane, "replies", "Answers to requests.", {{"reply", kReplyNames[i]}});
  for (std::size_t reason = 0; reason < kReasons; ++reason) {
    denied_[reason] = host.counter(lane, "denied", "Names, addresses and datagrams that policy refused, by reason.",
                                   {{"reason", to_text(static_cast<Reason>(reason))}});
    flows_refused_[reason] = host.counter(lane, "flows_refused", "Flows that a traffic rule did not let open.",
                                          {{"reason", to_text(static_cast<Reason>(reason))}});
  }
  constexpr std::string_view kBytes = "Payload bytes passed on.";
  bytes_up = host.counter(lane, "bytes", kBytes, {{"direction", "up"}});
  bytes_down = host.counter(lane, "bytes", kBytes, {{"direction", "down"}});
  bytes_spliced = host.counter(lane, "bytes_spliced", "Of these, within the kernel.");
  constexpr std::string_view kDatagrams = "Datagrams passed on.";
  datagrams_up = host.counter(lane, "datagrams", kDatagrams, {{"direction", "up"}});
  datagrams_down = host.counter(lane, "datagrams", kDatagrams, {{"direction", "down"}});
  streams = host.gauge(lane, "streams", "Streams that are open.");
  streams_opened = host.counter(lane, "streams_opened", "Streams that were accepted.");
  streams_recycled = host.counter(lane, "streams_recycled", "Streams that made place for newer ones.");
  tunnels = host.gauge(lane, "tunnels", "Connections that are open.");
  tunnels_cut = host.counter(lane, "tunnels_cut", "Connections that a newer policy has ended.");
  associations = host.gauge(lane, "associations", "UDP associations that are open.");
  flows_recycled = host.counter(lane, "flows_recycled", "UDP flows that made place for newer ones.");
  look_ups = host.counter(lane, "look_ups", "Names that resolvers were asked for.");
  look_up_failures = host.counter(lane, "look_up_failures", "Of these, without an answer.");
  blocked_answers = host.counter(lane, "blocked_answers", "DNS queries answered here because policy blocks the name.");
  accept_pauses = host.counter(lane, "accept_pauses", "Pauses in accepting streams, for want of descriptors.");
}

}  // namespace gatehouse::socks5
