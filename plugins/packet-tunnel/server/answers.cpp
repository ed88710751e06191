// What a client is told about packets that go no further, so that its programs fail at once; and the counts of both.
#include "plugins/packet-tunnel/server/lane.hpp"

#include <gatehouse/packet/packet_reply.hpp>

#include <algorithm>
#include <array>

namespace gatehouse::packet_tunnel {
namespace {

// A second, and at once: each answer is a packet for a packet, so none is made for a flood of them.
constexpr std::uint64_t kAnswerRate = 200, kAnswerBurst = 100;
constexpr std::uint64_t kAnswerRateOfAll = 2000, kAnswerBurstOfAll = 500;

std::uint64_t nanoseconds(SteadyTime time) noexcept {
  return static_cast<std::uint64_t>(time.time_since_epoch().count());
}

}  // namespace

void TunnelSession::reject(Direction direction, Reject why, std::uint64_t packets) noexcept {
  if (packets == 0) return;
  lane_.counters.rejected(direction, why, packets);
  const auto way = static_cast<std::size_t>(direction);
  metrics_.rejected[way][static_cast<std::size_t>(why)] += static_cast<std::uint32_t>(packets);
  metrics_.all_rejected[way] += static_cast<std::uint32_t>(packets);
  has_news_ = true;
}

/// @param bytes  of all packets, headers included
void TunnelSession::count(Direction direction, const IpPacket& facts, std::uint64_t packets,
                          std::uint64_t bytes) noexcept {
  const Kind kind{direction, facts.protocol, facts.version};
  SessionMetrics::Carried& carried = metrics_.carried[kind.index()];
  carried.packets += packets;
  carried.bytes += bytes;
  carried.application_bytes += facts.payload_size();
  has_news_ = true;
  lane_.counters.carried(kind, packets, bytes);
  direction == Direction::up ? session_.count_up(packets, bytes) : session_.count_down(packets, bytes);
}

bool TunnelSession::may_answer() noexcept {
  const std::uint64_t now = nanoseconds(lane_.now());
  return answers_.take(now, 1, kAnswerRate, kAnswerBurst) == 0 &&
         lane_.answers.take(now, 1, kAnswerRateOfAll, kAnswerBurstOfAll) == 0;
}

/// @param headers  of the client's packet, as it came; of a single one all of it
void TunnelSession::answer_denied(Bytes headers, const IpPacket& facts, Reject why) noexcept {
  const bool is_name = why == Reject::disallowed_domain;
  if (is_name && facts.is_udp()) return answer_blocked_name(headers, facts);
  const bool is_asked_for = lane_.settings().rejects_denied || why == Reject::no_ipv6;
  if (!is_asked_for && !(is_name && facts.is_tcp())) return;
  if (!may_answer()) return;
  std::array<std::byte, kLargestReply> answer;
  std::size_t size = 0;
  if (facts.is_tcp() && why != Reject::no_ipv6) {
    size = make_tcp_reset(headers, facts, answer);
  } else if (facts.version == 4 || lane_.prefixes().v6()) {
    const IpAddress gateway = facts.version == 4 ? lane_.prefixes().device_v4() : lane_.prefixes().device_v6();
    size = make_unreachable(Unreachable::prohibited, headers, facts, gateway, 0, answer);
  } else {
    // Without addresses of this family the answer is as from where the packet went.
    size = make_unreachable(Unreachable::no_route, headers, facts, facts.destination_address(headers), 0, answer);
  }
  if (size == 0) return;
  lane_.counters.answers.add();
  deliver(Bytes(answer).first(size), facts.source_port);
}

/// Whoever has sent `packet` to the client learns what fits. Of a device that the kernel knows the tunnel's MTU of,
/// none comes: one that was handed over may have another.
void TunnelSession::answer_too_big(PacketBlock& packet) noexcept {
  reject(Direction::down, Reject::too_big, packet.packets);
  if (!may_answer()) return;
  std::array<std::byte, kLargestReply> answer;
  const auto mtu = static_cast<std::uint16_t>(std::min<std::size_t>(lane_.settings().mtu, 0xffff));
  const std::size_t size = make_unreachable(Unreachable::too_big, packet.bytes(), packet.facts,
                                            assigned_address(packet.facts.version), mtu, answer);
  if (size != 0 && lane_.write(Bytes(answer).first(size))) lane_.counters.answers.add();
}

}  // namespace gatehouse::packet_tunnel
