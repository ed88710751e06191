// From the stream to the device.
//   1. read():         what the stream has, up to 512 KiB, behind what was kept of the last read
//   2. take_frames():  frames in place, none copied; each packet's shape is checked, and its rate charged
//   3. (Coalescer):    packets of one flow that follow each other become one super-packet; what came as one, in a large
//                      frame, passes behind them, or, where it is DNS, is cut
//   4. forward_up():   its flow, judged once for each policy; the addresses are rewritten once
//   5. TunnelLane::write(): one system call, in which the kernel forwards it
// What a rate does not let go, or is more than the work of one turn, stays in kept_, and the stream is not read until
// it is used up.
#include "plugins/packet-tunnel/server/lane.hpp"

#include <gatehouse/packet/packet_edit.hpp>

#include <algorithm>
#include <utility>

namespace gatehouse::packet_tunnel {
namespace {

constexpr std::size_t kLeastRead = 16 * 1024;
constexpr std::size_t kReadPart = 16;          // of the free memory: so much of it may have to be kept
constexpr std::size_t kLittleRead = 4 * 1024;  // when the turn's work is done
constexpr std::size_t kFragmentHeader = 8;     // of IPv6 (RFC 8200, 4.5)
constexpr std::size_t kHeaderV6 = 40;

// What packets cost, in units of TunnelLane::work.
constexpr std::size_t kPacketWork = 1;
constexpr std::size_t kWriteWork = 8;  // a system call in which the kernel forwards, at least
constexpr Nanoseconds kWorkUnit{500};
constexpr std::size_t kLookEvery = 64;  // frames, or any write: then the clock tells what the work really cost

/// What a client's packets have cost, in units of TunnelLane::work: by their number, or by the time where that is more,
/// as for packets that begin flows, whose ports the kernel has to look for.
class WorkClock {
 public:
  explicit WorkClock(std::uint64_t writes) noexcept : writes_before_(writes), writes_seen_(writes) {}

  /// @param is_many  it was a super-packet, whose cost nobody knows before the clock has told
  void count_packet(bool is_many) noexcept {
    ++packets_;
    if (is_many) look_at_ = packets_;
  }
  /// @param writes  to the device, of the lane
  [[nodiscard]] std::size_t look(std::uint64_t writes) noexcept {
    if (writes != writes_seen_ || packets_ >= look_at_) {
      writes_seen_ = writes;
      look_at_ = packets_ + kLookEvery;
      passed_ = static_cast<std::size_t>((steady_now() - began_) / kWorkUnit);
    }
    return std::max(packets_ * kPacketWork + (writes - writes_before_) * kWriteWork, passed_);
  }

 private:
  const SteadyTime began_ = steady_now();
  const std::uint64_t writes_before_;
  std::uint64_t writes_seen_;
  std::size_t packets_ = 0, look_at_ = kLookEvery, passed_ = 0;
};

/// IPv4 options, by which a header longer than 20 bytes is meant, whatever else is wrong with it.
bool has_options(Bytes packet) noexcept {
  const unsigned first = packet.empty() ? 0 : std::to_integer<unsigned>(packet[0]);
  return first > 0x45 && first <= 0x4f;
}

/// What that is called which comes as a super-packet and cannot be one.
Reject no_super_packet(const IpPacket& facts) noexcept {
  if (facts.is_fragment || (!facts.is_tcp() && !facts.is_udp())) return Reject::invalid_ip_packet_length;
  if (facts.is_tcp()) return Reject::invalid_tcp_packet_length;
  return facts.destination_port == kDnsPort ? Reject::invalid_dns_message : Reject::invalid_udp_packet_length;
}

}  // namespace

void TunnelSession::on_ready(std::uint32_t events) {
  if ((events & EPOLLOUT) != 0) {
    blocked_ = false;
    flush();
  }
  if (!stream_ || (events & ~std::uint32_t{EPOLLOUT}) == 0) return;
  if (is_waiting()) {  // what was read before goes first
    if ((events & EPOLLERR) != 0) return disconnect("the client has reset its stream");
    return stream_->unwatch();
  }
  read();
}

void TunnelSession::read() {
  const MutableBytes input(lane_.input);
  const Bytes kept = kept_.bytes();
  std::copy(kept.begin(), kept.end(), input.begin());
  const std::size_t most = lane_.work.is_spent() ? kLittleRead : std::max(kLeastRead, lane_.memory.free() / kReadPart);
  const auto got = stream_->read(input.subspan(kept.size(), std::min(most, input.size() - kept.size())));
  lane_.work.did(stream_->take_work());
  if (!got) {
    if (got.error() == Errc::would_block) return account();  // TLS may have answered, and hold that
    return disconnect(got.error() == Errc::closed ? "the client has ended its stream" : got.error().message());
  }
  last_active = lane_.now();
  const MutableBytes in = input.first(kept.size() + *got);
  kept_.clear();  // it stands in `in`
  const Bytes rest = in.subspan(take_frames(in));
  if (!stream_) return;
  kept_.assign(rest);
  account();
  if (stream_) watch_stream();
}

void TunnelSession::resume() {
  if (!stream_) return;
  yields_ = false;
  KeptInput kept = std::exchange(kept_, {});  // out of reach of give_back() and disconnect()
  kept.consume(take_frames(kept.bytes()));
  if (!stream_) return;
  kept_ = std::move(kept);
  account();
  if (stream_) watch_stream();
}

/// @return how many bytes of `in` are done with
std::size_t TunnelSession::take_frames(MutableBytes in) {
  if (std::exchange(worked_in_, lane_.turn()) != lane_.turn()) work_ = 0;
  const std::size_t before = work_, most = lane_.work.part();
  TunnelFrameReader frames(in, lane_.settings().mtu, form_);
  WorkClock clock(lane_.writes());
  std::size_t done = 0;
  bool is_lost = false;
  while (stream_) {
    work_ = before + clock.look(lane_.writes());
    if (work_ > most) {
      yields_ = true;
      lane_.work.go_on(*this);
      break;
    }
    const auto next = frames.next();
    is_lost = next.kind == TunnelFrameReader::Kind::oversize;
    if (next.kind != TunnelFrameReader::Kind::frame || !take_packet(next.packet, next.segment_size)) break;
    done = frames.used();
    clock.count_packet(next.segment_size != 0);
  }
  lane_.flush_upstream();
  work_ = before + clock.look(lane_.writes());
  lane_.work.did(work_ - before);
  if (is_lost && stream_)
    disconnect("its packets are longer than the tunnel's MTU of " + std::to_string(lane_.settings().mtu));
  return done;
}

/// @param segment_size  of a super-packet; 0: it is a single one
/// False: the stream has to wait, from this packet on.
bool TunnelSession::take_packet(MutableBytes packet, std::size_t segment_size) {
  const auto facts = IpPacket::parse(packet);
  const auto why = has_options(packet) ? Reject::invalid_ip_header_options
                   : facts             ? refuse_shape(*facts, Direction::up)
                                       : std::optional(reject_of(facts.error()));
  if (why) {
    reject(Direction::up, *why);
    if (*why == Reject::no_ipv6) answer_denied(packet, *facts, *why);
    return true;
  }
  std::uint32_t packets = 1;
  if (segment_size != 0) {
    const auto segments = count_segments(packet, *facts, segment_size, lane_.settings().mtu);
    if (!segments) {
      reject(Direction::up, segments.error() == Errc::oversize ? Reject::too_big : no_super_packet(*facts));
      return true;
    }
    packets = *segments;
  }
  // Messages of DNS are looked into one by one.
  const bool is_dns =
      !facts->is_icmp() && lane_.dns_ports.contains(facts->destination_port, lane_.generation(), *policy_);
  const std::uint64_t bytes = packet.size() + (packets - 1) * std::uint64_t{facts->payload};
  if (limits_.metered && !charge_up(packets, bytes)) return !waits_for_rate_;
  if (segment_size != 0) {
    if (is_dns)
      gather_cut(packet, *facts, segment_size, packets);
    else
      lane_.gather_super_packet(*this, packet, *facts, segment_size, packets);
    return true;
  }
  const bool is_alone = facts->is_fragment || facts->is_icmp() || is_dns;
  lane_.gather(*this, packet, *facts, is_alone);
  return true;
}

/// The packets that a super-packet stands for, one by one: a client's kernel makes such for every port, and knows
/// nothing of those that are DNS here.
void TunnelSession::gather_cut(MutableBytes packet, const IpPacket& facts, std::size_t segment_size,
                               std::uint32_t packets) noexcept try {
  const OffloadHeader offload = super_packet_offload(facts, segment_size);
  const PacketBlockPtr block(lane_.pool, lane_.pool.take(framed_size(offload, packet.size())));
  const auto cut = cut_into_frames(offload, packet, block->room());
  if (!cut) return reject(Direction::up, no_super_packet(facts), packets);
  FrameReader frames(block->room().first(cut->bytes), lane_.settings().mtu);
  for (auto next = frames.next(); next.kind == FrameReader::Kind::frame; next = frames.next())
    if (const auto one = IpPacket::parse(next.packet)) lane_.gather(*this, next.packet, *one, true);
} catch (const std::bad_alloc&) {
  reject(Direction::up, Reject::memory, packets);
}

/// What no flow may have.
std::optional<Reject> TunnelSession::refuse_shape(const IpPacket& facts, Direction direction) const noexcept {
  if (facts.version == 6 && !lane_.prefixes().v6()) return Reject::no_ipv6;
  const bool is_just_fragment = facts.is_fragment && facts.transport == kHeaderV6 + kFragmentHeader;
  if (facts.has_options) return Reject::invalid_ip_header_options;
  if (facts.has_extensions && !is_just_fragment) return Reject::invalid_ip_header_protocol;
  if (facts.is_later_fragment()) return {};
  if (facts.is_tcp() || facts.is_udp()) {
    if ((direction == Direction::up ? facts.destination_port : facts.source_port) != 0) return {};
    return facts.is_tcp() ? Reject::disallowed_tcp_destination_port : Reject::disallowed_udp_destination_port;
  }
  if (!facts.is_icmp()) return Reject::invalid_ip_header_protocol;
  if (!facts.is_icmp_echo() && !is_relayed_error(facts)) return Reject::invalid_icmp_message;
  return {};
}

/// All of a super-packet, or nothing. False: it must not go now (the stream waits), or not at all (counted).
bool TunnelSession::charge_up(std::uint64_t packets, std::uint64_t bytes) {
  const Grant grant = policy_->charge(Direction::up, packets, bytes, 0, lane_.now());
  if (grant.bytes == bytes) return true;
  if (grant.wait == UINT64_MAX) {
    reject(Direction::up, Reject::quota, packets);
    return false;
  }
  waits_for_rate_ = true;
  lane_.loop().schedule(rate_timer_, Nanoseconds(grant.wait));
  return false;
}

void TunnelSession::forward_up(GatheredPacket& packet) noexcept {
  const IpPacket& facts = packet.facts;
  if (!stream_) return;  // it has gone while this was gathered
  if (facts.is_later_fragment()) return forward_fragment_up(packet);
  if (facts.is_icmp_error()) return forward_error_up(packet);
  FlowKey key = key_of(facts, packet.headers, Direction::up);
  const bool is_transparent = facts.destination_port == kDnsPort && key.remote_address() == dns_address(facts.version);
  IpAddress resolver;
  if (is_transparent) {
    const IpAddress* const chosen = resolver_for(facts.version, facts.source_port);
    if (chosen == nullptr) {
      reject(Direction::up, Reject::no_dns_resolvers, packet.packets);
      return answer_denied(packet.headers, packet.facts, Reject::no_dns_resolvers);
    }
    resolver = *chosen;
    key.remote = resolver.storage();
  }
  if (admit_up(key, packet, is_transparent) == nullptr) return;
  if (facts.is_first_fragment()) {
    try {
      if (!fragments_up_) fragments_up_ = std::make_unique<Fragments>(true);
    } catch (const std::bad_alloc&) {
      return reject(Direction::up, Reject::memory);
    }
    if (!fragments_up_->remember(facts, packet.headers, is_transparent, lane_.now()))
      return reject(Direction::up, Reject::fragment_limit);
  }
  send_up(packet, is_transparent, resolver);
}

void TunnelSession::forward_fragment_up(GatheredPacket& packet) noexcept {
  const auto found =
      fragments_up_ ? fragments_up_->find(packet.facts, packet.headers, lane_.now()) : Fragments::Found{};
  if (!found.is_there || found.is_transparent) return reject(Direction::up, Reject::no_first_fragment, packet.packets);
  if (found.is_too_much) return reject(Direction::up, Reject::fragment_limit);
  send_up(packet, false, {});
}

/// The client tells a remote end of an error: only about a flow that there is.
void TunnelSession::forward_error_up(GatheredPacket& packet) noexcept {
  const IpPacket& facts = packet.facts;
  const auto quoted = IpPacket::parse_quoted(packet.headers.subspan(facts.payload));
  if (!quoted) return reject(Direction::up, Reject::invalid_icmp_message);
  const Bytes quote = packet.headers.subspan(facts.payload);
  const FlowKey key = key_of(*quoted, quote, Direction::down);  // it was on its way to the client
  const auto flow = lane_.flows.find(key);
  const bool is_to_remote = std::ranges::equal(facts.destination(packet.headers), quoted->source(quote));
  if (!flow || flow->is_transparent || !is_to_remote) return reject(Direction::up, Reject::invalid_icmp_message);
  rewrite_quoted_destination(packet.headers, facts, *quoted, assigned_address(facts.version));
  send_up(packet, false, {});
}

void TunnelSession::send_up(GatheredPacket& packet, bool is_transparent, const IpAddress& resolver) noexcept {
  const IpPacket& facts = packet.facts;
  const bool is_partial = packet.offload.needs_checksum;
  rewrite_source(packet.headers, facts, assigned_address(facts.version), is_partial);
  if (is_transparent) rewrite_destination(packet.headers, facts, resolver, is_partial);
  if (!lane_.write(packet)) return reject(Direction::up, Reject::device, packet.packets);
  const std::uint64_t bytes = packet.size + (packet.packets - 1) * std::uint64_t{facts.payload};
  count(Direction::up, facts, packet.packets, bytes);
}

}  // namespace gatehouse::packet_tunnel
