// Any bytes as a stream of frames with packets in them: frames lie inside the input back to back, what the reader says
// of a packet lies inside the packet, less of a packet is never more, and addresses can be changed there and back.
#include <gatehouse/packet/frame_reader.hpp>
#include <gatehouse/packet/ip_packet.hpp>
#include <gatehouse/packet/packet_edit.hpp>
#include <gatehouse/packet/packet_reply.hpp>

#include "tests/fuzz/fuzz.hpp"

#include <algorithm>
#include <array>
#include <vector>

namespace gatehouse {
namespace {

void check_facts(const IpPacket& facts, std::size_t size) {
  require(facts.version == 4 || facts.version == 6);
  require(facts.size == size && facts.transport <= facts.payload && facts.payload <= size);
  require(facts.transport >= (facts.version == 4 ? 20 : 40));
  require(!facts.is_tcp() || facts.is_later_fragment() || facts.payload - facts.transport >= 20);
  require(!facts.is_later_fragment() || (facts.is_fragment && facts.source_port == 0));
  require(facts.transport <= 40 + IpPacket::kMostExtensionBytes);
}

/// All headers in a buffer of just their size, and the rest of the packet elsewhere.
void check_front(const IpPacket& facts, Bytes packet) {
  const std::vector<std::byte> front(packet.begin(), packet.begin() + facts.payload);
  const auto parsed = IpPacket::parse(front, packet.size());
  require(parsed && *parsed == facts);
}

/// Right checksums stay right, wrong ones wrong; what is no address and no checksum stays as it is.
void check_rewriting(const IpPacket& facts, Bytes packet) {
  if (facts.has_source_route) return;
  std::vector<std::byte> copy(packet.begin(), packet.end());
  const bool is_whole = !facts.is_fragment;
  const bool right = is_whole && has_right_checksum(facts, copy), header = has_right_header_checksum(facts, copy);
  const IpAddress source = facts.source_address(copy), destination = facts.destination_address(copy);
  rewrite_source(copy, facts, destination, false);
  rewrite_destination(copy, facts, source, false);
  require(facts.source_address(copy) == destination && facts.destination_address(copy) == source);
  require(has_right_header_checksum(facts, copy) == header);
  require(!is_whole || has_right_checksum(facts, copy) == right);
  const auto again = IpPacket::parse(copy);
  require(again && *again == facts);
  if (facts.is_later_fragment())
    require(std::equal(copy.begin() + facts.transport, copy.end(), packet.begin() + facts.transport));
}

void check_quote(const IpPacket& facts, Bytes packet) {
  if (!facts.is_icmp_error() || facts.is_fragment) return;
  std::vector<std::byte> copy(packet.begin(), packet.end());
  const auto quoted = IpPacket::parse_quoted(Bytes(copy).subspan(facts.payload));
  if (!quoted) return;
  const bool right = has_right_checksum(facts, copy);
  const Bytes quote = Bytes(copy).subspan(facts.payload);
  const IpAddress to = quoted->destination_address(quote);
  rewrite_quoted_source(copy, facts, *quoted, to);
  require(quoted->source_address(Bytes(copy).subspan(facts.payload)) == to);
  rewrite_quoted_destination(copy, facts, *quoted, to);
  require(has_right_checksum(facts, copy) == right);
}

void check_reply(Bytes reply) {
  if (reply.empty()) return;
  const auto facts = IpPacket::parse(reply);
  require(facts && has_right_checksum(*facts, reply) && has_right_header_checksum(*facts, reply));
}

void check_replies(const IpPacket& facts, Bytes packet) {
  std::vector<std::byte> reset(60), error(kLargestReply);
  check_reply(Bytes(reset).first(make_tcp_reset(packet, facts, reset)));
  const IpAddress router = facts.destination_address(packet);
  for (const auto why : {Unreachable::no_route, Unreachable::port, Unreachable::prohibited, Unreachable::too_big})
    check_reply(Bytes(error).first(make_unreachable(why, packet, facts, router, 1400, error)));
}

void check_packet(Bytes packet) {
  const std::vector<std::byte> exact(packet.begin(), packet.end());  // of just its size
  static_cast<void>(IpPacket::parse_quoted(exact));
  const auto facts = IpPacket::parse(exact);
  require(facts || facts.error() != PacketFault::none);
  const auto strict = IpPacket::parse(exact, IpOptions::refused);
  require(strict ? facts && *facts == *strict : !facts || facts->has_options);
  if (!facts) return;
  check_facts(*facts, packet.size());
  check_front(*facts, packet);
  check_rewriting(*facts, packet);
  check_quote(*facts, packet);
  check_replies(*facts, packet);
}

}  // namespace
}  // namespace gatehouse

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gatehouse;
  std::vector<std::byte> in(size);
  std::transform(data, data + size, in.begin(), [](std::uint8_t one) { return std::byte{one}; });
  constexpr std::size_t kMtu = 1500;
  FrameReader reader(in, kMtu);
  std::size_t used = 0;
  for (auto next = reader.next();; next = reader.next()) {
    if (next.kind != FrameReader::Kind::frame) {
      require(reader.used() == used && reader.next().kind == next.kind);
      require(next.kind == FrameReader::Kind::oversize || size - used < kFrameLengthSize + kMtu);
      return 0;
    }
    require(next.packet.size() <= kMtu);
    require(next.packet.data() == in.data() + used + kFrameLengthSize);
    used += kFrameLengthSize + next.packet.size();
    require(reader.used() == used && used <= size);
    check_packet(next.packet);
  }
}
