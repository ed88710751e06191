// From the network to the stream.
//   1. receive():   a readable socket's datagrams, each received behind the place of its frame header (BatchReceiver)
//   2. ReplySink:   each counted against rates and the queue's share; where names are judged, an answer's are
//   3. (LaneLoop):  a busy lane that found little sleeps a moment, and 1. and 2. again
//   4. flush():     at the end of the turn, one write for all frames of all forwards of the client
// A client that does not read keeps its replies in a bounded queue; what finds no place there is dropped and counted.
#include "plugins/udpgw/lane.hpp"

#include <array>

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
  /// What has no room is looked at, too: by what waits for a resolver.
  MutableBytes room() noexcept {
    const MutableBytes room = client_.replies_.room();
    has_room_ = !room.empty();
    return has_room_ ? room : MutableBytes(client_.lane_.input);
  }
  std::size_t take(MutableBytes place, std::size_t payload) {
    const std::size_t overhead = forward_.overhead();
    if (forward_.to_resolver) client_.lane_.dns.answered(forward_, Bytes(place).subspan(overhead, payload));
    if (const auto cause = client_.refuse_reply(payload, forward_, has_room_)) {
      client_.lane_.counters.drop(*cause);
      return 0;
    }
    if (forward_.dns.answers) {  // charged as it came: whoever may have no more costs no look at names
      payload = judge(place.subspan(overhead, payload));
      if (payload == 0) return 0;
    }
    const std::size_t size = overhead + payload;
    write_header(place, forward_.conid, forward_.wire_address(), payload);
    client_.replies_.push(size, forward_.share);
    ++datagrams;
    bytes += payload;
    return size;
  }

  /// The blocked answer that found no place among the others, if there is one.
  [[nodiscard]] Bytes blocked() const noexcept { return Bytes(blocked_).first(blocked_size_); }

  std::uint64_t datagrams = 0, bytes = 0;  // taken

 private:
  /// What is left of an answer: all, a blocked one in its place, or nothing. The first blocked one is put aside, for as
  /// a rule it is longer than what it replaces, and behind that stands the next datagram; others of the same batch go
  /// without what makes them longer.
  std::size_t judge(MutableBytes answer) {
    const Verdict verdict = judge_answer(client_.policy_, client_.flow_of(forward_), answer);
    if (verdict.allowed) return answer.size();
    client_.lane_.counters.deny(verdict);
    client_.log_refused(forward_.remote(), verdict);
    if (verdict.reason != Reason::domain) return 0;
    const BlockedAnswer& blocked = client_.lane_.settings().blocked_answer;
    if (blocked_size_ == 0) {
      blocked_size_ = blocked.write(answer, blocked_);
      if (blocked_size_ != 0) return 0;
    }
    const std::size_t size = blocked.write(answer, answer);
    if (size != 0) client_.lane_.counters.blocked_answers.add();
    return size;
  }

  Client& client_;
  Forward& forward_;
  bool has_room_ = false;
  std::size_t blocked_size_ = 0;
  std::array<std::byte, 1024> blocked_;  // not cleared
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
  if (const Bytes blocked = sink.blocked(); !blocked.empty()) {
    const MutableBytes room = replies_.room();
    if (!room.empty()) std::ranges::copy(blocked, room.begin() + static_cast<std::ptrdiff_t>(forward.overhead()));
    push_answer(room, forward.conid, forward.wire_address(), blocked.size());
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
  const MutableBytes room = replies_.room();
  if (room.empty()) return;
  const std::size_t overhead = kLengthSize + kHeaderSize + frame.address.size();
  const std::size_t size = lane_.settings().blocked_answer.write(frame.payload, room.subspan(overhead));
  push_answer(room, frame.conid, frame.address, size);
  account();
}

/// Queues an answer that was made here and stands in `room`, where its frame's payload belongs. None: nothing is said.
void Client::push_answer(MutableBytes room, std::uint16_t conid, Bytes wire_address, std::size_t payload) {
  const std::size_t overhead = kLengthSize + kHeaderSize + wire_address.size();
  QueueShare& share = share_of(conid);
  if (room.empty() || payload == 0 || payload > kLargestFrame - overhead) return;
  if (!replies_.admits(overhead + payload, share)) return;
  write_header(room, conid, wire_address, payload);
  replies_.push(overhead + payload, share);
  lane_.counters.blocked_answers.add();
  lane_.flush_at_end_of_turn(*this);
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
