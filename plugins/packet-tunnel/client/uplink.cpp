// Stages: read_packet(): one super-packet; take(): judged, and a query's address rewritten, once; emit(): cut into
// frames, or as one large one, straight into the output; write_output(): one write of a turn's frames, or of 256 KiB.
#include "plugins/packet-tunnel/client/uplink.hpp"

#include <gatehouse/base/endian.hpp>
#include <gatehouse/packet/packet_reply.hpp>

#include <algorithm>
#include <array>

namespace gatehouse::packet_tunnel {
namespace {

constexpr std::size_t kWriteAt = 256 * 1024;                  // bytes: enough for one system call
constexpr std::size_t kOutput = kWriteAt + 160 * 1024;        // and a super-packet behind them, cut into small frames
constexpr std::size_t kTurnReads = 64, kTurnBytes = 1 << 20;  // then the stream has its turn
constexpr std::size_t kMostDiscarded = 10'000;                // packets: more than a device's ring has
constexpr std::size_t kMostWaiting = 4 * 1024 * 1024;         // bytes of packets
constexpr std::size_t kMostUnsent = 256 * 1024;  // bytes that the kernel holds: the queue here is the fair one
constexpr std::uint64_t kAnswersPerSecond = 200, kAnswersAtOnce = 50;

/// The same for all packets of a flow.
std::uint32_t hash_of(const IpPacket& facts, Bytes packet) noexcept {
  std::uint64_t hash = facts.protocol;
  const auto mix = [&hash](Bytes bytes) {
    for (std::size_t at = 0; at < bytes.size(); at += 4)
      hash = (hash ^ load_big<std::uint32_t>(bytes.subspan(at))) * 0x9e3779b97f4a7c15;
  };
  mix(facts.source(packet));
  mix(facts.destination(packet));
  hash = (hash ^ (std::uint64_t{facts.source_port} << 16 | facts.destination_port)) * 0x9e3779b97f4a7c15;
  return static_cast<std::uint32_t>(hash >> 32);
}

}  // namespace

Uplink::Uplink(LaneLoop& loop, DevicePort& device, const PacketRules& rules, std::function<void()> on_gone)
    : loop_(loop), device_(device), rules_(rules), on_gone_(std::move(on_gone)), queue_(pool_), output_(kOutput) {}

Uplink::~Uplink() { stop(); }

void Uplink::start(Stream& stream, std::size_t mtu, FrameForm form, bool discards) {
  if (!reading_) reading_ = PacketBlockPtr(pool_, pool_.take(PacketPool::kLargestPacket));
  for (std::size_t most = kMostDiscarded; discards && most > 0; --most, ++counters_.lost) {
    if (!device_.read(*reading_)) break;
  }
  stream_ = &stream;
  mtu_ = mtu;
  form_ = form;
  stream.limit_unsent(kMostUnsent);
  if (const auto added = loop_.poller().add(device_.fd(), EPOLLIN, *this); !added)
    throw boost::system::system_error(added.error(), "watch the device");
}

void Uplink::stop() noexcept {
  if (stream_ == nullptr) return;
  loop_.poller().remove(device_.fd(), *this);
  stream_ = nullptr;
  begin_ = end_ = 0;
  is_blocked_ = false;
  counters_.lost += queue_.clear();
}

void Uplink::on_ready(std::uint32_t) {
  std::size_t bytes = 0;
  for (std::size_t reads = 0; reads < kTurnReads && bytes < kTurnBytes; ++reads) {
    if (!read_packet()) return;
    bytes += reading_ ? reading_->size : PacketPool::kLargestPacket;  // kept: it was a large one
  }
  loop_.busy().reached_limit();
}

/// False: there is nothing more.
bool Uplink::read_packet() {
  if (!reading_) reading_ = PacketBlockPtr(pool_, pool_.take(PacketPool::kLargestPacket));
  const auto fault = device_.read(*reading_);
  if (!fault) {
    if (fault.error() == Errc::closed) on_gone_();
    return false;
  }
  if (*fault == PacketFault::none)
    take(reading_);
  else
    ++counters_.dropped;
  return true;
}

void Uplink::take(PacketBlockPtr& packet) {
  loop_.busy().add(1);
  switch (rules_.judge(packet->bytes(), packet->facts, packet->offload.needs_checksum)) {
    case PacketRules::Verdict::drop: ++counters_.dropped; return;
    case PacketRules::Verdict::refuse: return refuse(*packet, 0);
    case PacketRules::Verdict::pass: break;
  }
  const std::size_t largest = largest_cut(packet->offload, packet->bytes());
  if (largest > mtu_) return refuse(*packet, static_cast<std::uint16_t>(mtu_));
  if (!is_blocked_ && queue_.empty() && emit(*packet)) return;
  enqueue(packet);
}

/// @param mtu  0: it may not pass at all
void Uplink::refuse(PacketBlock& packet, std::uint16_t mtu) noexcept {
  ++counters_.refused;
  if (answers_.take(to_ns(loop_.now()), 1, kAnswersPerSecond, kAnswersAtOnce) != 0) return;
  std::array<std::byte, kLargestReply> answer;
  const IpAddress from = dns_address(packet.facts.version);
  std::size_t size = 0;
  if (mtu != 0)
    size = make_unreachable(Unreachable::too_big, packet.bytes(), packet.facts, from, mtu, answer);
  else if (packet.facts.is_tcp())
    size = make_tcp_reset(packet.bytes(), packet.facts, answer);
  else
    size = make_unreachable(Unreachable::no_route, packet.bytes(), packet.facts, from, 0, answer);
  if (size != 0) device_.write(Bytes(answer).first(size));
}

/// Takes the block, or a smaller copy.
void Uplink::enqueue(PacketBlockPtr& packet) {
  const std::uint32_t hash = hash_of(packet->facts, packet->bytes());
  queue_.push(compact(pool_, packet), hash, loop_.now());
  if (queue_.memory() > kMostWaiting) counters_.lost += queue_.drop_to(kMostWaiting - kMostWaiting / 8);
}

/// False: the output has no room for it.
bool Uplink::emit(PacketBlock& packet) noexcept {
  const auto cut =
      write_frames(form_, packet.offload, packet.bytes(), packet.facts, mtu_, MutableBytes(output_).subspan(end_));
  if (!cut && cut.error() == Errc::oversize && end_ != 0) return false;
  if (!cut) {
    ++counters_.dropped;
    return true;  // it is done with
  }
  end_ += cut->bytes;
  packet.packets = cut->packets;
  counters_.packets += packet.packets;
  counters_.bytes += packet.bytes_of_all();
  if (end_ - begin_ >= kWriteAt) write_output();
  return true;
}

void Uplink::send(Bytes packet) noexcept {
  if (stream_ == nullptr || output_.size() - end_ < kFrameLengthSize + packet.size()) return;
  store_big(MutableBytes(output_).subspan(end_), static_cast<std::uint16_t>(packet.size()));
  std::ranges::copy(packet, output_.begin() + static_cast<std::ptrdiff_t>(end_ + kFrameLengthSize));
  end_ += kFrameLengthSize + packet.size();
}

void Uplink::write_output() noexcept {
  if (stream_ == nullptr || is_blocked_) return;
  while (begin_ != end_) {  // TLS takes 64 KiB at a time
    const auto written = stream_->write(Bytes(output_).subspan(begin_, end_ - begin_));
    if (!written && written.error() != Errc::would_block) end_ = begin_;  // the stream's next event tells
    if (!written) break;
    begin_ += *written;
  }
  is_blocked_ = begin_ != end_;
  if (!is_blocked_) begin_ = end_ = 0;
}

void Uplink::go_on() noexcept {
  is_blocked_ = false;
  flush();
}

void Uplink::pump() noexcept {
  while (!is_blocked_ && !queue_.empty()) {
    PacketQueue::Early early;
    PacketBlockPtr packet = queue_.pop(loop_.now(), early);
    counters_.lost += early.dropped;
    if (!packet) return;
    if (emit(*packet)) continue;
    queue_.put_back(std::move(packet));
    write_output();
  }
}

void Uplink::flush() noexcept {
  write_output();
  pump();
  write_output();
}

}  // namespace gatehouse::packet_tunnel
