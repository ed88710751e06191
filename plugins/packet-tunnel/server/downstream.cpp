// From the device to the stream.
//   1. forward_down(): the packet's flow, judged once for each policy; the addresses are rewritten once a super-packet;
//                      where names are judged, a DNS answer's are
//   2. emit():         cut into frames, or as one large one, straight into the output
//   3. flush():        at the end of the turn, or when there is much: one write
// While the stream takes no more, packets wait as they came in a PacketQueue; what is there too long is dropped or
// marked, so that senders slow down before everybody waits.
#include "plugins/packet-tunnel/server/lane.hpp"

#include <gatehouse/packet/packet_edit.hpp>
#include <gatehouse/packet/packet_reply.hpp>

#include <algorithm>
#include <cstring>

namespace gatehouse::packet_tunnel {
namespace {

constexpr std::size_t kWriteAt = 128 * 1024;     // bytes of output: enough for one system call
constexpr std::size_t kSmallOutput = 16 * 1024;  // where a turn has little

/// Packets that it will be cut into, at most.
std::uint32_t cuts_of(const PacketBlock& packet) noexcept {
  if (packet.offload.kind == OffloadHeader::Kind::none || packet.offload.segment_size == 0) return 1;
  const auto payload = static_cast<std::uint32_t>(packet.facts.payload_size());
  return std::max<std::uint32_t>((payload + packet.offload.segment_size - 1) / packet.offload.segment_size, 1);
}

}  // namespace

void TunnelSession::forward_down(PacketBlockPtr& packet) {
  const IpPacket& facts = packet->facts;
  const MutableBytes bytes = packet->bytes();
  if (!stream_) return reject(Direction::down, Reject::no_client);
  const IpAddress& client = client_address(facts.version);
  if (client.family() == Family::none) return reject(Direction::down, Reject::no_original_address);
  if (const auto why = refuse_shape(facts, Direction::down)) return reject(Direction::down, *why);
  FlowKey key;
  bool is_transparent = false, is_judged = false;
  if (facts.is_later_fragment()) {
    const auto found = fragments_down_ ? fragments_down_->find(facts, bytes, lane_.now()) : Fragments::Found{};
    if (!found.is_there) return reject(Direction::down, Reject::no_first_fragment);
    is_transparent = found.is_transparent;
    std::ranges::copy(facts.source(bytes), key.remote.begin());
  } else if (facts.is_icmp_error()) {
    if (!relay_error_down(*packet, key)) return reject(Direction::down, Reject::invalid_icmp_message);
  } else {
    key = key_of(facts, bytes, Direction::down);
    const TunnelFlow* const flow = admit_down(key, facts, bytes);
    if (flow == nullptr) return;
    is_transparent = flow->is_transparent;
    is_judged = flow->look.answers;
    if (facts.is_first_fragment()) {
      // The names of an answer in fragments cannot be told.
      if (is_judged && !judge_answer(*policy_, flow_facts(key, is_transparent), {}).allowed)
        return reject(Direction::down, Reject::invalid_dns_message);
      if (!fragments_down_) fragments_down_ = std::make_unique<Fragments>(false);
      static_cast<void>(fragments_down_->remember(facts, bytes, is_transparent, lane_.now()));
    }
  }
  packet->packets = cuts_of(*packet);
  if (largest_cut(packet->offload, bytes) > lane_.settings().mtu) return answer_too_big(*packet);
  const bool is_partial = packet->offload.needs_checksum;
  rewrite_destination(bytes, facts, client, is_partial);
  if (is_transparent) rewrite_source(bytes, facts, dns_address(facts.version), is_partial);
  if (is_judged && !facts.is_fragment && !allows_answers(*packet, key, is_transparent)) return;
  send_down(packet, key);
}

/// An error about something that the client has sent, from wherever on the way: only about a flow that there is. False:
/// it is none.
bool TunnelSession::relay_error_down(PacketBlock& packet, FlowKey& key) {
  const MutableBytes bytes = packet.bytes();
  const MutableBytes quote = bytes.subspan(packet.facts.payload);
  const auto quoted = IpPacket::parse_quoted(quote);
  if (!quoted || packet.offload.needs_checksum) return false;
  key = key_of(*quoted, quote, Direction::up);
  const auto flow = lane_.flows.find(key);
  const IpAddress& assigned = assigned_address(packet.facts.version);
  if (!flow || !std::ranges::equal(quoted->source(quote), assigned.bytes())) return false;
  rewrite_quoted_source(bytes, packet.facts, *quoted, client_address(packet.facts.version));
  if (flow->is_transparent)
    rewrite_quoted_destination(bytes, packet.facts, *IpPacket::parse_quoted(quote), dns_address(packet.facts.version));
  return true;
}

void TunnelSession::send_down(PacketBlockPtr& packet, const FlowKey& key) {
  const auto hash = static_cast<std::uint32_t>(FlowKeyHash{}(key));
  lane_.flush_at_end_of_turn(*this);
  const bool must_wait = blocked_ || !queue_.empty() || limits_.metered;
  if (!must_wait && emit(*packet)) return;
  enqueue(packet, hash);
}

/// A whole packet that was made here.
void TunnelSession::deliver(Bytes packet, std::uint32_t hash) noexcept try {
  if (!stream_) return;
  PacketBlockPtr block(lane_.pool, lane_.pool.take(packet.size()));
  block->size = static_cast<std::uint32_t>(packet.size());
  std::ranges::copy(packet, block->room().begin());
  block->offload = {};
  block->is_answer = true;
  const auto facts = IpPacket::parse(block->bytes());
  if (!facts) return;
  block->facts = *facts;
  lane_.flush_at_end_of_turn(*this);
  if (!blocked_ && queue_.empty() && emit(*block)) return;
  enqueue(block, hash);
} catch (const std::bad_alloc&) {
  reject(Direction::down, Reject::memory);
}

/// Takes the block, or a smaller copy.
void TunnelSession::enqueue(PacketBlockPtr& packet, std::uint32_t hash) {
  try {
    const std::size_t most = lane_.settings().client_buffer;
    if (queue_.memory() + PacketPool::cost_of(*packet) > most)
      reject(Direction::down, Reject::queue_full, queue_.drop_to(most - most / 8));
    queue_.push(compact(lane_.pool, packet), hash, lane_.now());
    account();
  } catch (const std::bad_alloc&) {
    reject(Direction::down, Reject::memory);
  }
}

/// False: the output has no room for it.
bool TunnelSession::emit(PacketBlock& packet) {
  const std::size_t wanted = framed_size(packet.offload, packet.size);
  if (!make_room(wanted)) return false;
  const MutableBytes room = output_->room().subspan(output_->begin + output_->size);
  const auto cut = write_frames(form_, packet.offload, packet.bytes(), packet.facts, lane_.settings().mtu, room);
  if (!cut) {
    reject(Direction::down, Reject::invalid_ip_packet_length, packet.packets);
    return true;  // it is done with
  }
  if (!packet.is_answer) count(Direction::down, packet.facts, packet.packets, packet.bytes_of_all());
  output_->size += static_cast<std::uint32_t>(cut->bytes);
  if (output_->size >= kWriteAt) write_output();
  return true;
}

/// Room for `wanted` bytes at the end of the output.
bool TunnelSession::make_room(std::size_t wanted) {
  if (!output_) {
    output_ =
        PacketBlockPtr(lane_.pool, lane_.pool.take(wanted <= kSmallOutput / 2 ? kSmallOutput : PacketPool::kOutput));
    return true;
  }
  const auto free = [this] { return output_->capacity - output_->begin - output_->size; };
  if (free() >= wanted) return true;
  if (output_->capacity < PacketPool::kOutput) {
    PacketBlockPtr larger(lane_.pool, lane_.pool.take(PacketPool::kOutput));
    std::ranges::copy(output_->bytes(), larger->room().begin());
    larger->size = output_->size;
    output_ = std::move(larger);
    return true;
  }
  if (!blocked_) write_output();
  return !blocked_ && (output_ ? free() >= wanted : make_room(wanted));
}

void TunnelSession::write_output() {
  if (!output_ || blocked_ || !stream_) return;
  const auto written = stream_->write(output_->bytes());
  if (!written && written.error() != Errc::would_block) {
    blocked_ = is_broken_ = true;  // flush() ends it
    return output_.reset();
  }
  const std::size_t taken = written ? *written : 0;
  if (taken != 0) last_active = lane_.now();
  output_->begin += static_cast<std::uint32_t>(taken);
  output_->size -= static_cast<std::uint32_t>(taken);
  blocked_ = output_->size != 0;
  if (!blocked_) return output_.reset();
  if (output_->size <= kSmallOutput) shrink_output();  // it may stay for long
}

/// No larger than it has to be.
void TunnelSession::shrink_output() {
  if (!output_) return;
  PacketBlockPtr smaller(lane_.pool, lane_.pool.take(output_->size));
  if (smaller->capacity >= output_->capacity) return;
  std::ranges::copy(output_->bytes(), smaller->room().begin());
  smaller->size = output_->size;
  output_ = std::move(smaller);
}

/// What waits, as far as the stream and the client's rates take it.
void TunnelSession::pump() {
  while (stream_ && !blocked_) {
    PacketQueue::Early early;
    PacketBlockPtr packet = queue_.pop(lane_.now(), early);
    reject(Direction::down, Reject::early, early.dropped);
    lane_.counters.marked.add(early.marked);
    if (!packet) return;
    if (limits_.metered && !packet->is_answer) {
      const std::uint64_t bytes = packet->bytes_of_all();
      const Grant grant = policy_->charge(Direction::down, packet->packets, bytes, 0, lane_.now());
      if (grant.bytes != bytes) {
        if (grant.wait == UINT64_MAX) {
          reject(Direction::down, Reject::quota, packet->packets);
          continue;
        }
        queue_.put_back(std::move(packet));
        return lane_.loop().schedule(down_timer_, Nanoseconds(grant.wait));
      }
    }
    if (emit(*packet)) continue;
    queue_.put_back(std::move(packet));
    return;
  }
}

void TunnelSession::flush() {
  if (!stream_) return;
  write_output();
  pump();
  write_output();
  if (!stream_) return;
  if (is_broken_) return disconnect("its stream is broken");
  account();
  if (stream_) watch_stream();
}

void TunnelSession::watch_stream() { stream_->watch_for(!is_waiting(), blocked_); }

}  // namespace gatehouse::packet_tunnel
