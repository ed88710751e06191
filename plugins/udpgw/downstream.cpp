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

void Client::resume_after(Forward& forward) {
  lane_.loop().poller().modify(forward.fd.get(), EPOLLIN, forward);
  if (full_ == &forward) resume();
}

void Client::receive(Forward& forward) {
  // A socket that was readable in the turn before, too, has more than one datagram as a rule: then it is read until it
  // is empty. Else one call is enough, and the poller tells if there was more.
  const bool continues = forward.last_turn + 1 == lane_.turn();
  forward.last_turn = lane_.turn();
  const int most = continues || forward.bursting ? kMostPerTurn : 1;
  forward.bursting = continues;

  const std::size_t overhead = forward.overhead();
  const std::size_t room_for_payload = kLargestFrame - overhead;
  for (int i = 0; i < most; ++i) {
    const MutableBytes room = replies_.room();
    std::byte nowhere;
    const ssize_t n = room.empty() ? ::recv(forward.fd.get(), &nowhere, 1, MSG_TRUNC)
                                   : ::recv(forward.fd.get(), room.data() + overhead, room_for_payload, MSG_TRUNC);
    if (n < 0) {
      if (errno == EAGAIN || errno == EWOULDBLOCK) {
        forward.bursting = false;
        return;
      }
      lane_.counters.icmp_errors.add();  // the socket lives on: the next datagram may get through
      if (forward.to_resolver) return lane_.dns.refused(forward);
      return;
    }
    const auto payload = static_cast<std::size_t>(n);
    if (room.empty()) {
      lane_.counters.drop(Drop::client_buffer);
    } else if (payload > room_for_payload) {
      lane_.counters.drop(Drop::oversize);
    } else if (!take_reply(forward, room, payload)) {
      return;
    }
  }
}

/// A reply of `payload` bytes stands in `room`, behind the place of its header. False: the forward is gone.
bool Client::take_reply(Forward& forward, MutableBytes room, std::size_t payload) {
  if (forward.generation != lane_.generation() && !judge_again(forward)) return false;
  if (forward.to_resolver) lane_.dns.answered(forward, Bytes(room).subspan(forward.overhead(), payload));
  touch(forward);
  const std::size_t size = forward.overhead() + payload;
  if (!replies_.admits(size, forward.share)) {
    lane_.counters.drop(Drop::client_buffer);
    return true;
  }
  if (limits_.metered != 0 && policy_.consume(GH_DOWN, 1, payload, lane_.now()) != 0) {
    lane_.counters.drop(Drop::rate);
    return true;
  }
  write_header(room, forward.conid, forward.wire_address(), payload);
  replies_.push(size, forward.share);
  lane_.counters.datagrams_down.add();
  lane_.counters.bytes_down.add(payload);
  ++usage_.packets_down;
  usage_.bytes_down += payload;
  lane_.flush_at_end_of_turn(*this);
  return true;
}

void Client::answer_blocked(const Frame& frame) {
  const BlockedAnswer answer = lane_.settings().blocked_answer;
  if (answer == BlockedAnswer::drop) return;
  const MutableBytes room = replies_.room();
  const std::size_t overhead = kLengthSize + kHeaderSize + frame.address.size();
  const auto query = read_dns_query(frame.payload);
  if (room.empty() || !query) return;
  const std::size_t size = write_blocked_answer(
      *query, answer == BlockedAnswer::refused ? DnsRcode::refused : DnsRcode::nxdomain, room.subspan(overhead));
  if (size == 0 || size > kLargestFrame - overhead || !replies_.admits(overhead + size, answers_share_)) return;
  write_header(room, frame.conid, frame.address, size);
  replies_.push(overhead + size, answers_share_);
  lane_.counters.blocked_answers.add();
  lane_.flush_at_end_of_turn(*this);
}

void Client::flush() {
  if (ended_ || replies_.empty()) return;
  const std::size_t size = replies_.unsent().size();
  const auto written = stream_.write(replies_.unsent());
  if (!written && written.error() != Errc::would_block) return end(written.error().message());
  const std::size_t taken = written ? *written : 0;
  replies_.sent(taken, [this](std::uint16_t conid, std::size_t frame) {
    if (Forward* forward = find(conid)) replies_.reduce(forward->share, frame);
  });
  if (taken != 0) last_life_ = lane_.now();
  blocked_ = taken != size;
  want();
}

void Client::want() {
  const bool paused = full_ != nullptr || rate_pause_.is_scheduled();
  stream_.want(!paused && !is_half_closed(), blocked_);
}

}  // namespace gatehouse::udpgw
