// From the network to the stream.
//   1. receive():   a readable socket's datagrams, each received behind the place of its frame header (BatchReceiver)
//   2. ReplySink:   each counted against rates and the queue's share
//   3. (LaneLoop):  a busy lane that found little sleeps a moment, and 1. and 2. again
//   4. flush():     at the end of the turn, one write for all frames of all forwards of the client
// A client that does not read keeps its replies in a bounded queue; what finds no place there is dropped and counted.
#include "plugins/udpgw/lane.hpp"

#include <gatehouse/net/dns_message.hpp>

namespace gatehouse::udpgw {

/// Takes one forward's datagrams into its client's queue.
class Client::ReplySink {
 public:
  ReplySink(Client& client, Forward& forward) noexcept : client_(client), forward_(forward) {}

  /// Not when the queue may be full although the stream takes what there is: it is written at the end of the turn.
  bool wants_more() const noexcept {
    const ReplyQueue& replies = client_.replies_;
    return client_.blocked_ || replies.empty() || replies.admits(2 * kLargestReply, forward_.share);
  }
  /// What has no room is looked at, too.
  MutableBytes room() noexcept {
    const MutableBytes room = client_.replies_.room();
    has_room_ = !room.empty();
    return has_room_ ? room : MutableBytes(client_.lane_.input);
  }
  std::size_t take(MutableBytes place, std::size_t payload) {
    const std::size_t overhead = forward_.overhead(), size = overhead + payload;
    if (forward_.to_resolver) client_.lane_.dns.answered(forward_, Bytes(place).subspan(overhead, payload));
    if (const auto cause = client_.refuse_reply(payload, forward_, has_room_)) {
      client_.lane_.counters.drop(*cause);
      return 0;
    }
    write_header(place, forward_.conid, forward_.wire_address(), payload);
    client_.replies_.push(size, forward_.share);
    ++datagrams;
    bytes += payload;
    return size;
  }

  std::uint64_t datagrams = 0, bytes = 0;  // taken

 private:
  Client& client_;
  Forward& forward_;
  bool has_room_ = false;
};

void Client::receive(Forward& forward) {
  if (forward.generation != lane_.generation() && !judge_again(forward)) return;
  ReplySink sink(*this, forward);
  const Received got =
      lane_.receiver.receive(forward.fd.get(), forward.received, lane_.turn(), forward.overhead(), sink);
  replies_.touched(got.reached);
  BusyBucket& busy = lane_.loop().busy();
  busy.add(got.datagrams);
  if (got.reached_limit) busy.reached_limit();
  if (got.datagrams != 0) touch(forward);
  if (sink.datagrams != 0) {
    lane_.counters.datagrams_down.add(sink.datagrams);
    lane_.counters.bytes_down.add(sink.bytes);
    session_.count_down(sink.datagrams, sink.bytes);
    lane_.flush_at_end_of_turn(*this);
  }
  if (got.error) {
    lane_.counters.icmp_errors.add();  // the socket lives on: the next datagram may get through
    if (forward.to_resolver) lane_.dns.refused(forward);
  }
  account();
}

/// Why a reply cannot be queued; charges what can.
std::optional<Drop> Client::refuse_reply(std::size_t payload, const Forward& forward, bool has_room) {
  if (payload > kLargestFrame - forward.overhead()) return Drop::oversize;
  if (!has_room || !replies_.admits(forward.overhead() + payload, forward.share)) return Drop::client_buffer;
  if (!limits_.metered) return {};
  const std::size_t cost = payload + forward.headers;
  const Grant grant = policy_.charge(Direction::down, 1, cost, cost, lane_.now());
  if (grant.bytes == cost) return {};
  return grant.wait == UINT64_MAX ? Drop::quota : Drop::rate;
}

void Client::answer_blocked(const Frame& frame) {
  const BlockedAnswer answer = lane_.settings().blocked_answer;
  if (answer == BlockedAnswer::drop) return;
  const MutableBytes room = replies_.room();
  const std::size_t overhead = kLengthSize + kHeaderSize + frame.address.size();
  QueueShare& share = share_of(frame.conid);
  const auto query = read_dns_query(frame.payload);
  if (room.empty() || !query) return;
  const std::size_t size = write_blocked_answer(
      *query, answer == BlockedAnswer::refused ? DnsRcode::refused : DnsRcode::nxdomain, room.subspan(overhead));
  if (size == 0 || size > kLargestFrame - overhead || !replies_.admits(overhead + size, share)) return;
  write_header(room, frame.conid, frame.address, size);
  replies_.push(overhead + size, share);
  lane_.counters.blocked_answers.add();
  lane_.flush_at_end_of_turn(*this);
  account();
}

void Client::flush() {
  if (ended_ || blocked_) return;  // the poller tells when the stream takes more
  replies_.sweep();
  lane_.counters.drop(Drop::forward_closed, replies_.take_swept());
  if (replies_.empty()) {
    watch_stream();
    return account();
  }
  const std::size_t size = replies_.unsent().size();
  const auto written = stream_.write(replies_.unsent());
  if (!written && written.error() != Errc::would_block) return end(written.error().message());
  const std::size_t taken = written ? *written : 0;
  replies_.sent(taken, [this](std::uint16_t conid, std::size_t frame) { replies_.reduce(share_of(conid), frame); });
  if (taken != 0) last_active = lane_.now();
  blocked_ = taken != size;
  watch_stream();
  account();
}

QueueShare& Client::share_of(std::uint16_t conid) {
  Forward* const forward = find(conid);
  return forward != nullptr ? forward->share : answers_share_;
}

void Client::watch_stream() { stream_.watch_for(!is_waiting() && !is_half_closed(), blocked_); }

}  // namespace gatehouse::udpgw
