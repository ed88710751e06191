#include "plugins/geneve-relay/server/counters.hpp"

namespace gatehouse::geneve_relay {

Counters::Counters(const LaneContext& context) {
  const Host& host = context.host;
  auto* const lane = context.lane;
  for (std::size_t i = 0; i < kDrops; ++i)
    drops_[i] = host.counter(lane, "drops", "Datagrams that went nowhere, by cause.",
                             {{"cause", to_text(static_cast<Drop>(i))}});
  for (std::size_t reason = 0; reason < kReasons; ++reason)
    denied_[reason] = host.counter(lane, "denied", "Legs that policy refused or cut, by reason.",
                                   {{"reason", to_text(static_cast<Reason>(reason))}});
  constexpr std::array<std::string_view, 2> kTransports = {"udp4", "udp6"};
  for (std::size_t way = 0; way < packets_.size(); ++way) {
    const std::string_view in = kTransports[way / 2], out = kTransports[way % 2];
    packets_[way] = host.counter(lane, "forwarded_packets", "Packets passed on to the other client.",
                                 {{"transport_in", in}, {"transport_out", out}});
    bytes_[way] = host.counter(lane, "forwarded_bytes", "UDP payload of these packets, Geneve headers included.",
                               {{"transport_in", in}, {"transport_out", out}});
  }
  constexpr std::string_view kEndpoints = "Endpoints there are: connecting, until both clients are bound, or open.";
  connecting = host.gauge(lane, "endpoints", kEndpoints, {{"state", "connecting"}});
  open = host.gauge(lane, "endpoints", kEndpoints, {{"state", "open"}});
  constexpr std::string_view kGiven = "Endpoints given to whoever asked: made, or there already.";
  allocated = host.counter(lane, "endpoints_given", kGiven, {{"outcome", "made"}});
  extended = host.counter(lane, "endpoints_given", kGiven, {{"outcome", "there"}});
  expired = host.counter(lane, "expired", "Endpoints that ended because a client was silent, or never came.");
  displaced = host.counter(lane, "displaced", "Endpoints that were ended for others, as the relay was full.");
  constexpr std::string_view kHandshakes =
      "Handshakes: Binds answered by a challenge, clients bound by their Answer, bound ones that have moved.";
  challenged = host.counter(lane, "handshakes", kHandshakes, {{"step", "challenged"}});
  bound = host.counter(lane, "handshakes", kHandshakes, {{"step", "bound"}});
  moved = host.counter(lane, "handshakes", kHandshakes, {{"step", "moved"}});
  handed_over = host.counter(lane, "handed_over", "Packets that came at another lane than their endpoint's.");
  constexpr std::string_view kUnreceived = "Datagrams lost before they were read: nobody read in time, or too large.";
  overflows_ = host.counter(lane, "unreceived", kUnreceived, {{"cause", "overflow"}});
  truncated_ = host.counter(lane, "unreceived", kUnreceived, {{"cause", "truncated"}});
  constexpr std::string_view kUnsent = "Datagrams that were to be passed on, and the kernel did not take, by cause.";
  unreachable_ = host.counter(lane, "unsent", kUnsent, {{"cause", "unreachable"}});
  invalid_ = host.counter(lane, "unsent", kUnsent, {{"cause", "invalid"}});
  too_long_ = host.counter(lane, "unsent", kUnsent, {{"cause", "too_long"}});
  forbidden_ = host.counter(lane, "unsent", kUnsent, {{"cause", "forbidden"}});
  otherwise_ = host.counter(lane, "unsent", kUnsent, {{"cause", "other"}});
  full_ = host.counter(lane, "unsent", kUnsent, {{"cause", "full"}});
  constexpr std::array<std::string_view, 2> kWays = {"received", "sent"};
  for (std::size_t way = 0; way < kWays.size(); ++way) {
    batches_[way] = {
        host.counter(lane, "udp_calls", "System calls for batches of datagrams.", {{"way", kWays[way]}}),
        host.counter(lane, "udp_messages", "Single datagrams and coalesced runs in them.", {{"way", kWays[way]}}),
        host.counter(lane, "udp_datagrams", "Datagrams in these.", {{"way", kWays[way]}})};
  }
  for (std::size_t what = 0; what < kernel_.size(); ++what)
    kernel_[what] = host.counter(lane, "kernel_packets",
                                 "Packets that the kernel's part (fast_path) saw at the relay's ports: relayed, or why "
                                 "left to user space.",
                                 {{"outcome", to_text(static_cast<gh_fast_count>(what))}});
  kernel_bytes_ = host.counter(lane, "kernel_bytes", "UDP payload of the packets that the kernel's part relayed.");
  for (const InKernel state :
       {InKernel::there, InKernel::metered, InKernel::addresses, InKernel::full, InKernel::refused})
    kernel_legs[static_cast<std::size_t>(state)] =
        host.gauge(lane, "kernel_legs", "Clients' ways that the kernel's part relays now, or why user space does.",
                   {{"state", to_text(state)}});
  for (const InKernel cause : {InKernel::addresses, InKernel::full, InKernel::refused})
    kernel_refused[static_cast<std::size_t>(cause)] =
        host.counter(lane, "kernel_refused", "Clients' ways that the kernel's part was offered and did not take.",
                     {{"cause", to_text(cause)}});
  constexpr std::string_view kOthers = "Datagrams that are not relayed: STUN answers, sealed allocation requests.";
  stun = host.counter(lane, "other_datagrams", kOthers, {{"kind", "stun"}});
  sealed = host.counter(lane, "other_datagrams", kOthers, {{"kind", "disco"}});
}

void Counters::tell(RelaySocket& socket) noexcept {
  const BatchCounters& now = socket.udp().counters();
  BatchCounters& told = socket.told;
  truncated_.add(now.truncated - told.truncated);
  unreachable_.add(now.unreachable - told.unreachable);
  invalid_.add(now.invalid - told.invalid);
  too_long_.add(now.too_long - told.too_long);
  forbidden_.add(now.forbidden - told.forbidden);
  otherwise_.add(now.refused_otherwise - told.refused_otherwise);
  full_.add(now.full - told.full);
  batches_[0].add(now.receive_calls - told.receive_calls, now.buffers_received - told.buffers_received,
                  now.datagrams_received - told.datagrams_received);
  batches_[1].add(now.send_calls - told.send_calls, now.messages_sent - told.messages_sent,
                  now.datagrams_sent - told.datagrams_sent);
  told = now;
  const std::uint32_t overflows = socket.udp().overflows();
  overflows_.add(overflows - socket.overflows);
  socket.overflows = overflows;
}

void Counters::tell(const FastTotals& now) noexcept {
  for (std::size_t what = 0; what < kernel_.size(); ++what)
    kernel_[what].add(now.packets[what] - told_of_kernel_.packets[what]);
  kernel_bytes_.add(now.bytes - told_of_kernel_.bytes);
  told_of_kernel_ = now;
}

void Counters::deny(const Verdict& verdict) noexcept {
  const auto index = static_cast<std::size_t>(verdict.reason);
  denied_[index < kReasons ? index : 0].add();
}

}  // namespace gatehouse::geneve_relay
