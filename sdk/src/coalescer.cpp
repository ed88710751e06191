// Stages of a packet: may it be merged at all; is there an open group of its flow; does it fit behind what that has;
// are the checksums right, the first packet's too, which is looked at only when there is a second. A group's headers
// are copied when it gets its second packet, and finished when it is given away.
#include <gatehouse/packet/coalescer.hpp>

#include <gatehouse/base/endian.hpp>
#include <gatehouse/packet/checksum.hpp>

#include <bit>
#include <cassert>
#include <cstring>
#include <utility>

#include <sys/uio.h>

namespace gatehouse {
namespace {

using Kind = OffloadHeader::Kind;

constexpr std::size_t kLargestPacket = 65535;
constexpr std::size_t kLargestHeaders = 40 + 60;
constexpr std::size_t kTcpSequence = 4, kTcpAcknowledgement = 8, kTcpOffset = 12, kTcpFlags = 13, kTcpChecksum = 16,
                      kTcpUrgent = 18, kTcpOptions = 20;
constexpr std::size_t kUdpLength = 4, kUdpChecksum = 6;

template <class Int>
Int native_at(Bytes in, std::size_t at) noexcept {
  Int value;
  std::memcpy(&value, in.data() + at, sizeof value);
  return value;
}

ChecksumField field_at(MutableBytes in, std::size_t at) noexcept { return in.subspan(at).first<2>(); }

void put_word(MutableBytes in, std::size_t at, std::size_t value) noexcept {
  store_big(in.subspan(at), static_cast<std::uint16_t>(value));
}

/// Of the addresses and ports, as words of memory. A client may choose packets that meet: the search is among
/// kMostGroups at worst.
inline std::uint32_t hash_of(Bytes packet, const IpPacket& facts) noexcept {
  constexpr std::uint64_t kFactor = 0x9e3779b97f4a7c15;
  std::uint64_t sum = native_at<std::uint32_t>(packet, facts.transport);
  if (facts.version == 4) {
    sum ^= native_at<std::uint64_t>(packet, 12);
  } else {
    sum = (sum ^ native_at<std::uint64_t>(packet, 8) ^ std::rotl(native_at<std::uint64_t>(packet, 24), 21)) * kFactor;
    sum ^= std::rotl(native_at<std::uint64_t>(packet, 16) ^ std::rotl(native_at<std::uint64_t>(packet, 32), 21), 32);
  }
  sum *= kFactor;
  return static_cast<std::uint32_t>(sum >> 32) ^ facts.protocol;
}

/// Both packets have a transport header.
inline bool is_same_flow(Bytes one, const IpPacket& one_facts, Bytes other, const IpPacket& other_facts) noexcept {
  const auto same = [&](std::size_t at) {
    return native_at<std::uint64_t>(one, at) == native_at<std::uint64_t>(other, at);
  };
  if (one_facts.version != other_facts.version || one_facts.protocol != other_facts.protocol) return false;
  if (native_at<std::uint32_t>(one, one_facts.transport) != native_at<std::uint32_t>(other, other_facts.transport))
    return false;
  return one_facts.version == 4 ? same(12) : same(8) && same(16) && same(24) && same(32);
}

inline bool has_flow(const IpPacket& facts) noexcept {
  return (facts.is_tcp() || facts.is_udp()) && facts.has_transport_header();
}

/// Whatever its neighbours are.
inline bool may_be_merged(Bytes packet, const IpPacket& facts, bool merge_udp) noexcept {
  if (facts.has_options || facts.has_extensions || facts.is_fragment || facts.payload_size() == 0) return false;
  const Bytes transport = packet.subspan(facts.transport);
  if (facts.is_udp())
    return merge_udp && native_at<std::uint16_t>(transport, kUdpChecksum) != 0 &&
           load_big<std::uint16_t>(transport.subspan(kUdpLength)) == facts.transport_size();
  const bool has_reserved = (transport[kTcpOffset] & std::byte{0x0f}) != std::byte{0};
  return (facts.tcp_flags & ~unsigned{kTcpPsh}) == kTcpAck && !has_reserved;
}

inline bool has_same_ip_header(Bytes first, const IpPacket& first_facts, Bytes packet, const IpPacket& facts) noexcept {
  if (first_facts.ttl != facts.ttl || first_facts.payload != facts.payload) return false;
  if (facts.version == 4) return first[1] == packet[1] && first[6] == packet[6];
  return native_at<std::uint32_t>(first, 0) == native_at<std::uint32_t>(packet, 0);
}

/// But for the sequence number and PSH.
inline bool has_same_tcp_header(Bytes first, Bytes packet, std::size_t size) noexcept {
  constexpr std::array kIgnored = {std::byte{0}, std::byte{kTcpPsh}, std::byte{0}, std::byte{0}};
  const auto ignored = std::bit_cast<std::uint32_t>(kIgnored);
  const auto differs = native_at<std::uint32_t>(first, kTcpOffset) ^ native_at<std::uint32_t>(packet, kTcpOffset);
  return (differs & ~ignored) == 0 &&
         native_at<std::uint32_t>(first, kTcpAcknowledgement) ==
             native_at<std::uint32_t>(packet, kTcpAcknowledgement) &&
         native_at<std::uint16_t>(first, kTcpUrgent) == native_at<std::uint16_t>(packet, kTcpUrgent) &&
         std::memcmp(first.data() + kTcpOptions, packet.data() + kTcpOptions, size - kTcpOptions) == 0;
}

/// Of a packet that may be merged: no options, and the transport header tells no other length.
inline bool has_right_checksums(Bytes packet, const IpPacket& facts) noexcept {
  if (facts.version == 4) {
    const auto words = [&](std::size_t at) { return std::uint64_t{native_at<std::uint32_t>(packet, at)}; };
    if (fold_sum(words(0) + words(4) + words(8) + words(12) + words(16)) != 0xffff) return false;
  }
  const std::uint64_t pseudo = pseudo_header_sum(facts.source(packet), facts.destination(packet), facts.protocol,
                                                 static_cast<std::uint32_t>(facts.transport_size()));
  return fold_sum(pseudo + sum_words(packet.subspan(facts.transport))) == 0xffff;
}

}  // namespace

OffloadHeader super_packet_offload(const IpPacket& facts, std::size_t segment_size) noexcept {
  OffloadHeader out;
  out.kind = facts.is_udp() ? Kind::udp : facts.version == 4 ? Kind::tcp4 : Kind::tcp6;
  out.needs_checksum = true;
  out.has_ecn = facts.is_tcp() && (facts.tcp_flags & kTcpCwr) != 0;
  out.header_size = facts.payload;
  out.segment_size = static_cast<std::uint16_t>(segment_size);
  out.checksum_start = facts.transport;
  out.checksum_offset = facts.is_udp() ? kUdpChecksum : kTcpChecksum;
  return out;
}

/// Packets of one flow, in order. The members down to `next` are read for every packet of a read.
struct Coalescer::Group {
  std::uint32_t hash;
  std::uint8_t next;      // in the bucket
  bool is_first_checked;  // its checksums are right
  unsigned packets;
  std::uint32_t next_sequence;
  std::size_t segment;  // payload of the first, and so of all but the last
  MutableBytes first;
  IpPacket facts;  // of the first; `size` and flags grow
  std::array<std::byte, OffloadHeader::kSize + kLargestHeaders> headers;
  std::array<Bytes, kMostPackets> payload;

  void begin(MutableBytes packet, const IpPacket& of) noexcept {
    is_first_checked = false;
    packets = 1;
    segment = of.payload_size();
    first = packet;
    facts = of;
    if (of.is_tcp()) {
      const auto sequence = load_big<std::uint32_t>(packet.subspan(of.transport + kTcpSequence));
      next_sequence = static_cast<std::uint32_t>(sequence + segment);
    }
  }

  [[nodiscard]] bool fits(Bytes packet, const IpPacket& of) const noexcept {
    const std::size_t size = of.payload_size();
    if (packets == kMostPackets || size > segment || facts.size + size > kLargestPacket) return false;
    if (!has_same_ip_header(first, facts, packet, of)) return false;
    if (of.is_udp()) return true;
    const Bytes transport = packet.subspan(of.transport);
    return load_big<std::uint32_t>(transport.subspan(kTcpSequence)) == next_sequence &&
           has_same_tcp_header(first.subspan(of.transport), transport, of.payload - of.transport);
  }

  /// Looked at once, when there is something to merge with.
  [[nodiscard]] bool first_is_right() noexcept {
    if (!is_first_checked) is_first_checked = has_right_checksums(first, facts);
    return is_first_checked;
  }

  /// The first packet's headers get a place of their own.
  void copy_headers() noexcept {
    std::memcpy(headers.data() + OffloadHeader::kSize, first.data(), facts.payload);
    payload[0] = first.subspan(facts.payload);
  }

  void append(MutableBytes packet, const IpPacket& of) noexcept {
    if (packets == 1) copy_headers();
    payload[packets++] = packet.subspan(of.payload);
    facts.size += static_cast<std::uint32_t>(of.payload_size());
    facts.tcp_flags |= of.tcp_flags;
    next_sequence += static_cast<std::uint32_t>(of.payload_size());
  }

  /// Puts into the copied headers what is of the whole.
  OffloadHeader finish_headers() noexcept;
};

OffloadHeader Coalescer::Group::finish_headers() noexcept {
  const MutableBytes ip = MutableBytes(headers).subspan(OffloadHeader::kSize, facts.payload);
  const MutableBytes transport = ip.subspan(facts.transport);
  const OffloadHeader offload = super_packet_offload(facts, segment);
  if (facts.version == 4) {
    put_word(ip, 2, facts.size);
    put_word(ip, 10, 0);
    store_checksum(field_at(ip, 10), static_cast<std::uint16_t>(~fold_sum(sum_words(ip.first(facts.transport)))));
  } else {
    put_word(ip, 4, facts.size - facts.transport);
  }
  if (facts.is_udp()) {
    put_word(transport, kUdpLength, facts.transport_size());
  } else {
    transport[kTcpFlags] = std::byte{facts.tcp_flags};
  }
  store_checksum(field_at(transport, offload.checksum_offset),
                 fold_sum(pseudo_header_sum(facts.source(ip), facts.destination(ip), facts.protocol,
                                            static_cast<std::uint32_t>(facts.transport_size()))));
  return offload;
}

/// All groups, found by their flow's hash: a few buckets more than groups, each a chain by index.
struct Coalescer::Groups {
  static constexpr std::size_t kBuckets = 64;
  static constexpr std::uint8_t kNone = 0xff;
  static_assert(kMostGroups == 32, "one bit each");

  std::array<std::uint8_t, kBuckets> buckets;
  std::uint32_t used = 0;
  std::uint32_t turn = 0;  // who gives way when all are used
  Group* last = nullptr;   // of the packet before: often of this one, too
  std::array<std::byte, OffloadHeader::kSize> single_offload{};
  std::array<Group, kMostGroups> groups;
  Group whole;  // a super-packet that came as such, for the time in which it is given away

  Groups() noexcept { buckets.fill(kNone); }

  [[nodiscard]] bool is_last(Bytes packet, const IpPacket& facts) const noexcept {
    return last != nullptr && is_same_flow(last->first, last->facts, packet, facts);
  }

  Group* find(std::uint32_t hash, Bytes packet, const IpPacket& facts) noexcept {
    for (std::uint8_t at = buckets[hash % kBuckets]; at != kNone; at = groups[at].next) {
      Group& group = groups[at];
      if (group.hash == hash && is_same_flow(group.first, group.facts, packet, facts)) return &group;
    }
    return nullptr;
  }

  /// The open group of that packet's flow; null: it has none. @param hash  set where there was need to look for it
  Group* find_flow(Bytes packet, const IpPacket& facts, std::uint32_t& hash) noexcept {
    if (is_last(packet, facts)) return last;
    hash = hash_of(packet, facts);
    return find(hash, packet, facts);
  }

  [[nodiscard]] bool is_full() const noexcept { return used == ~std::uint32_t{0}; }

  Group& take_free(std::uint32_t hash) noexcept {
    const auto at = static_cast<std::uint8_t>(std::countr_one(used));
    used |= std::uint32_t{1} << at;
    Group& out = groups[at];
    out.hash = hash;
    out.next = std::exchange(buckets[hash % kBuckets], at);
    return out;
  }

  void release(Group& group) noexcept {
    const auto at = static_cast<std::uint8_t>(&group - groups.data());
    std::uint8_t* link = &buckets[group.hash % kBuckets];
    while (*link != at) link = &groups[*link].next;
    *link = group.next;
    used &= ~(std::uint32_t{1} << at);
    if (last == &group) last = nullptr;
  }
};

Coalescer::Coalescer(GatheredSink& sink, bool merge_udp)
    : sink_(sink), merge_udp_(merge_udp), groups_(std::make_unique<Groups>()) {}

Coalescer::~Coalescer() = default;

void Coalescer::take(MutableBytes packet, const IpPacket& facts, bool may_merge) noexcept {
  assert(packet.size() == facts.size);
  if (!has_flow(facts)) return give_single(packet, facts);
  std::uint32_t hash = 0;
  Group* group = groups_->find_flow(packet, facts, hash);
  bool can_begin = may_merge && may_be_merged(packet, facts, merge_udp_);
  const bool ends = facts.is_tcp() && (facts.tcp_flags & kTcpPsh) != 0;

  if (group != nullptr) {
    if (can_begin && group->fits(packet, facts) && group->first_is_right()) {
      if (has_right_checksums(packet, facts)) {
        group->append(packet, facts);
        groups_->last = group;
        if (!ends && facts.payload_size() == group->segment) return;
        give(*group);
        return groups_->release(*group);
      }
      can_begin = false;
    }
    give(*group);
  }
  if (!can_begin || ends) {  // it has no second
    if (group != nullptr) groups_->release(*group);
    return give_single(packet, facts);
  }
  if (group == nullptr) {
    if (groups_->is_full()) {
      Group& oldest = groups_->groups[groups_->turn++ % kMostGroups];
      give(oldest);
      groups_->release(oldest);
    }
    group = &groups_->take_free(hash);
  }
  group->begin(packet, facts);
  groups_->last = group;
}

void Coalescer::add_super_packet(MutableBytes packet, const IpPacket& facts, std::size_t segment_size,
                                 unsigned packets) noexcept {
  assert(packet.size() == facts.size && has_flow(facts) && facts.payload <= kLargestHeaders);
  std::uint32_t hash = 0;
  if (Group* const before = groups_->find_flow(packet, facts, hash); before != nullptr) {
    give(*before);
    groups_->release(*before);
  }
  Group& whole = groups_->whole;
  whole.begin(packet, facts);
  whole.segment = segment_size;
  whole.packets = packets;
  whole.copy_headers();
  give_whole(whole, 1);
}

void Coalescer::flush() noexcept {
  while (groups_->used != 0) {
    Group& group = groups_->groups[static_cast<std::size_t>(std::countr_zero(groups_->used))];
    give(group);
    groups_->release(group);
  }
  groups_->turn = 0;
}

void Coalescer::give(Group& group) noexcept {
  if (group.packets == 1) return give_single(group.first, group.facts);
  give_whole(group, group.packets);
}

void Coalescer::give_whole(Group& group, std::size_t pieces) noexcept {
  GatheredPacket out{group.facts};
  out.offload = group.finish_headers();
  out.with_offload_header = MutableBytes(group.headers).first(OffloadHeader::kSize + group.facts.payload);
  out.headers = out.with_offload_header.subspan(OffloadHeader::kSize);
  out.payload = std::span(group.payload).first(pieces);
  out.size = group.facts.size;
  out.packets = group.packets;
  sink_.take(out);
}

void Coalescer::give_single(MutableBytes packet, const IpPacket& facts) noexcept {
  GatheredPacket out{facts};
  out.headers = packet;
  out.size = packet.size();
  out.packets = 1;
  out.with_offload_header = groups_->single_offload;
  sink_.take(out);
}

std::size_t GatheredPacket::fill(std::span<Bytes> out) const noexcept {
  offload.store(with_offload_header);
  out[0] = with_offload_header;
  if (payload.empty()) {
    out[1] = headers;
    return 2;
  }
  std::ranges::copy(payload, out.begin() + 1);
  return payload.size() + 1;
}

}  // namespace gatehouse
