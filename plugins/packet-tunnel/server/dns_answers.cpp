// DNS answers: those that the gateway gives in place of a blocked question's, and those from outside that are held
// against the names that policy blocks.
#include "plugins/packet-tunnel/server/lane.hpp"

#include <gatehouse/base/endian.hpp>
#include <gatehouse/net/dns_message.hpp>
#include <gatehouse/packet/checksum.hpp>

#include <algorithm>
#include <array>

namespace gatehouse::packet_tunnel {
namespace {

constexpr std::size_t kUdpHeader = 8;
constexpr std::size_t kLongestQuery = 1500;  // of which the answer is made here

/// Swaps addresses and ports.
void turn_round(MutableBytes packet, const IpPacket& facts) noexcept {
  const std::size_t address = facts.version == 4 ? 4 : 16, first = facts.version == 4 ? 12 : 8;
  const MutableBytes addresses = packet.subspan(first, 2 * address);
  std::swap_ranges(addresses.begin(), addresses.begin() + static_cast<std::ptrdiff_t>(address),
                   addresses.begin() + static_cast<std::ptrdiff_t>(address));
  const MutableBytes ports = packet.subspan(facts.transport, 4);
  std::swap_ranges(ports.begin(), ports.begin() + 2, ports.begin() + 2);
}

/// Writes the lengths and checksums of a UDP packet that has a payload of `size` bytes now.
void seal(MutableBytes packet, const IpPacket& facts, std::size_t size) noexcept {
  const MutableBytes udp = packet.subspan(facts.transport, kUdpHeader + size);
  store_big(udp.subspan(4), static_cast<std::uint16_t>(udp.size()));
  if (facts.version == 4) {
    store_big(packet.subspan(2), static_cast<std::uint16_t>(facts.transport + udp.size()));
    const MutableBytes header = packet.first(facts.transport);
    store_big<std::uint16_t>(header.subspan(10), 0);
    store_checksum(header.subspan(10).first<2>(), static_cast<std::uint16_t>(~fold_sum(sum_words(header))));
  } else {
    store_big(packet.subspan(4), static_cast<std::uint16_t>(udp.size()));
  }
  store_big<std::uint16_t>(udp.subspan(6), 0);
  const auto sum =
      pseudo_header_sum(facts.source(packet), facts.destination(packet), kUdp, static_cast<std::uint32_t>(udp.size())) +
      sum_words(udp);
  const auto checksum = static_cast<std::uint16_t>(~fold_sum(sum));
  store_checksum(udp.subspan(6).first<2>(), checksum == 0 ? std::uint16_t{0xffff} : checksum);
}

/// Is it one, and not what stands in the middle of a longer one? What cannot be read is taken for one where it says
/// that it is, and ends with the segment: to be refused as over UDP.
bool is_answer(Bytes message, bool ends_with_segment) noexcept {
  constexpr std::byte kResponse{0x80};  // QR
  if (ends_with_segment && message.size() > 2 && (message[2] & kResponse) != std::byte{0}) return true;
  return read_dns_response(message).has_value();
}

}  // namespace

void TunnelSession::answer_blocked_name(Bytes packet, const IpPacket& facts) noexcept {
  if (facts.size > kLongestQuery) return;
  std::array<std::byte, kLongestQuery + kBlockedAnswerGrowth> answer;
  std::ranges::copy(packet, answer.begin());
  const std::size_t size =
      lane_.settings().blocked_answer.write(packet.subspan(facts.payload), MutableBytes(answer).subspan(facts.payload));
  if (size == 0 || facts.payload + size > lane_.settings().mtu) return;
  turn_round(answer, facts);
  seal(answer, facts, size);
  lane_.counters.blocked_answers.add();
  deliver(Bytes(answer).first(facts.payload + size), facts.source_port);
}

/// Judges an answer, or the several of a super-packet, which is addressed to the client already. False: it does not go
/// on as it is, and what may go on of it has been sent.
bool TunnelSession::allows_answers(PacketBlock& packet, const FlowKey& key, bool is_transparent) {
  const FlowFacts flow = flow_facts(key, is_transparent);
  const IpPacket& facts = packet.facts;
  Bytes rest = packet.bytes().subspan(facts.payload, facts.payload_size());
  if (facts.is_tcp()) return allows_tcp_answers(flow, rest);
  if (packet.offload.kind == OffloadHeader::Kind::none) return allows_answer(packet, key, flow, rest);
  while (!rest.empty()) {
    const Bytes answer = rest.first(std::min<std::size_t>(rest.size(), packet.offload.segment_size));
    rest = rest.subspan(answer.size());
    if (allows_answer(packet, key, flow, answer)) send_datagram(packet, key, answer, false);
  }
  return false;
}

bool TunnelSession::allows_answer(PacketBlock& packet, const FlowKey& key, const FlowFacts& flow, Bytes answer) {
  const Verdict verdict = judge_answer(*policy_, flow, answer);
  if (verdict.allowed) return true;
  const Reject as = reject_of(verdict.reason, key.protocol);
  reject(Direction::down, as);
  if (as == Reject::disallowed_domain) send_datagram(packet, key, answer, true);
  return false;
}

/// Of TCP what stands whole in one packet. A blocked one is lost, so that the client's program gives up.
bool TunnelSession::allows_tcp_answers(const FlowFacts& flow, Bytes segment) noexcept {
  constexpr std::size_t kLength = 2;  // before each message (RFC 1035, 4.2.2)
  while (segment.size() > kLength) {
    const std::size_t size = load_big<std::uint16_t>(segment);
    if (size > segment.size() - kLength) return true;
    const Bytes message = segment.subspan(kLength, size);
    if (!is_answer(message, segment.size() == kLength + size)) return true;  // the middle of one
    const Verdict verdict = judge_answer(*policy_, flow, message);
    if (!verdict.allowed) {
      reject(Direction::down, reject_of(verdict.reason, kTcp));
      return false;
    }
    segment = segment.subspan(kLength + size);
  }
  return true;
}

/// One datagram by itself, with the headers of `packet`.
/// @param is_blocked  it is a blocked answer that takes its place
void TunnelSession::send_datagram(PacketBlock& packet, const FlowKey& key, Bytes datagram, bool is_blocked) try {
  const std::size_t head = packet.facts.payload;
  PacketBlockPtr block(lane_.pool, lane_.pool.take(head + datagram.size() + kBlockedAnswerGrowth));
  const MutableBytes room = block->room();
  std::ranges::copy(Bytes(packet.bytes()).first(head), room.begin());
  std::size_t size = datagram.size();
  if (is_blocked)
    size = lane_.settings().blocked_answer.write(datagram, room.subspan(head));
  else
    std::ranges::copy(datagram, room.begin() + static_cast<std::ptrdiff_t>(head));
  if ((is_blocked && size == 0) || head + size > lane_.settings().mtu) return;
  seal(room, packet.facts, size);
  const auto facts = IpPacket::parse(room.first(head + size));
  if (!facts) return;
  block->begin = 0;
  block->size = static_cast<std::uint32_t>(head + size);
  block->packets = 1;
  block->is_answer = is_blocked;
  block->offload = {};
  block->facts = *facts;
  if (is_blocked) lane_.counters.blocked_answers.add();
  send_down(block, key);
} catch (const std::bad_alloc&) {
  reject(Direction::down, Reject::memory);
}

}  // namespace gatehouse::packet_tunnel
