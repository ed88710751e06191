// From the network to the stream.
//   1. receive():    a readable socket's datagrams, each received behind the place of its frame header
//   2. take_reply(): judged if the policy is newer than the flow's verdict; counted against rates and the queue's share
//   3. flush():      at the end of the turn, one write for all frames of all forwards of the client
// A client that does not read keeps its replies in a bounded queue; what finds no place there is dropped and counted.
#include "plugins/udpgw/lane.hpp"

#include <gatehouse/net/dns_message.hpp>

#include <sys/socket.h>

#include <cerrno>

namespace gatehouse::udpgw {
namespace {

constexpr int kMostPerTurn = 64;  // datagrams of one forward; then the others have their turn

}  // namespace

void Client::receive(Forward& forward) {
  // A socket that was readable in the turn before, too, has more than one datagram as a rule: then it is read until it
  // is empty. Else one call is enough, and the poller tells if there was more.
  const bool continues = forward.last_turn + 1 == lane_.turn();
  forward.last_turn = lane_.turn();
  const int most = continues || forward.bursting ? kMostPerTurn : 1;
  forward.bursting = continues;

  const std::size_t overhead = forward.overhead();
  const std::size_t most_payload = kLargestFrame - overhead;
  for (int i = 0; i < most; ++i) {
    const MutableBytes room = replies_.room();
    const MutableBytes place = room.empty() ? MutableBytes(lane_.input) : room;  // what has no room is looked at, too
    const ssize_t n = ::recv(forward.fd.get(), place.data() + overhead, most_payload, MSG_TRUNC);
    if (n < 0) {
      if (errno == EAGAIN || errno == EWOULDBLOCK) {
        forward.bursting = false;
        return;
      }
      lane_.counters.icmp_errors.add();  // the socket lives on: the next datagram may get through
      if (forward.to_resolver) lane_.dns.refused(forward);
      return;
    }
    const auto payload = static_cast<std::size_t>(n);
    if (payload > most_payload) {
      lane_.counters.drop(Drop::oversize);
    } else if (!take_reply(forward, place, payload, !room.empty())) {
      return;
    }
  }
}

/// A reply of `payload` bytes stands in `place`, behind the space for its header. False: the forward is gone.
bool Client::take_reply(Forward& forward, MutableBytes place, std::size_t payload, bool has_room) {
  if (forward.generation != lane_.generation() && !judge_again(forward)) return false;
  if (forward.to_resolver) lane_.dns.answered(forward, Bytes(place).subspan(forward.overhead(), payload));
  touch(forward);
  const std::size_t size = forward.overhead() + payload;
  if (!has_room || !replies_.admits(size, forward.share)) {
    lane_.counters.drop(Drop::client_buffer);
    return true;
  }
  if (const std::uint64_t wait = limits_.metered == 0 ? 0 : policy_.consume(GH_DOWN, 1, payload, lane_.now())) {
    lane_.counters.drop(wait == UINT64_MAX ? Drop::quota : Drop::rate);
    return true;
  }
  write_header(place, forward.conid, forward.wire_address(), payload);
  replies_.push(size, forward.share);
  lane_.counters.datagrams_down.add();
  lane_.counters.bytes_down.add(payload);
  session_.count_down(1, payload);
  lane_.flush_at_end_of_turn(*this);
  return true;
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
}

void Client::flush() {
  if (ended_ || blocked_) return;  // the poller tells when the stream takes more
  if (replies_.empty()) return want();
  const std::size_t size = replies_.unsent().size();
  const auto written = stream_.write(replies_.unsent());
  if (!written && written.error() != Errc::would_block) return end(written.error().message());
  const std::size_t taken = written ? *written : 0;
  replies_.sent(taken, [this](std::uint16_t conid, std::size_t frame) { replies_.reduce(share_of(conid), frame); });
  if (taken != 0) last_life_ = lane_.now();
  blocked_ = taken != size;
  want();
}

QueueShare& Client::share_of(std::uint16_t conid) {
  Forward* const forward = find(conid);
  return forward != nullptr ? forward->share : answers_share_;
}

void Client::want() { stream_.want(!sender_.is_waiting() && !is_half_closed(), blocked_); }

}  // namespace gatehouse::udpgw
