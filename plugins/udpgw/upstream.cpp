// From the stream to the network.
//   1. read():          what the stream has, up to 256 KiB, behind what was kept of the last read
//   2. decode_frames(): frames in place, none copied
//   3. take_frame():    the forward of each; a new one is judged and opened; a name or a newer policy is judged
//   4. UpstreamSender:  consecutive frames of one forward leave by one system call
// What a socket or a rate does not take at once, or what is more than the work of one turn, stays in kept_, and the
// stream is not read until it is used up.
#include "plugins/udpgw/lane.hpp"

namespace gatehouse::udpgw {
namespace {

constexpr unsigned kMostMalformed = 64;  // in a row; then this is no client of ours
constexpr std::size_t kLeastRead = 16 * 1024;
constexpr std::size_t kReadPart = 16;  // of the free memory: so much of it may have to be kept

constexpr std::size_t kLittleRead = 4 * 1024;  // when the turn's work is done

// What frames cost, in units of UdpgwLane::work.
constexpr std::size_t kFrameWork = 1;
constexpr std::size_t kSendWork = 4;   // a system call, for one datagram or a run of them
constexpr std::size_t kJudgeWork = 4;  // a name is looked for in all lists
constexpr std::size_t kOpenWork = 30;

}  // namespace

void Client::read() {
  const MutableBytes input(lane_.input);
  const Bytes kept = kept_.bytes();
  std::copy(kept.begin(), kept.end(), input.begin());
  const std::size_t most = lane_.work.is_spent() ? kLittleRead : std::max(kLeastRead, lane_.memory.free() / kReadPart);
  const auto got = stream_.read(input.subspan(kept.size(), std::min(most, input.size() - kept.size())));
  if (!got) {
    lane_.work.did(stream_.take_work());
    if (got.error() == Errc::would_block) return account();  // TLS may have answered, and hold that
    if (got.error() != Errc::closed) return end(got.error().message());
    half_closed_at_ = lane_.now();
    return watch_stream();
  }
  lane_.work.did(stream_.take_work());
  last_active = lane_.now();
  const Bytes in = input.first(kept.size() + *got);
  if (first_bytes_) {
    if (looks_like_tun2proxy(in))
      return end(
          "its first frame is of tun2proxy's protocol, which shares only the name: use a badvpn-compatible client");
    first_bytes_ = in.size() < kLengthSize + kHeaderSize;
  }
  kept_.clear();  // it stands in `in`
  const Bytes rest = in.subspan(decode_frames(in));
  if (ended_) return count_lost(rest);
  kept_.assign(rest);
  account();
  if (!ended_) watch_stream();
}

/// Decodes what was kept where it stands: a rate lets little of much go, many times a second.
void Client::resume() {
  if (ended_) return;
  yields_ = false;
  KeptInput kept = std::exchange(kept_, {});  // out of reach of give_back() and end()
  kept.consume(decode_frames(kept.bytes()));
  if (ended_) return count_lost(kept.bytes());
  kept_ = std::move(kept);
  account();
  if (!ended_) watch_stream();
}

/// @return how many bytes of `in` are done with
std::size_t Client::decode_frames(Bytes in) {
  if (std::exchange(worked_in_, lane_.turn()) != lane_.turn()) work_ = 0;
  const std::size_t before = work_, most = lane_.work.part();
  std::size_t at = 0;
  for (Decoded decoded; !ended_; at += decoded.size) {
    decoded = decode(in.subspan(at));
    if (decoded.kind == FrameKind::incomplete) break;
    work_ += kFrameWork + kSendWork * sender_.take_calls();
    if (work_ > most) {
      if (sender_.flush() != SendResult::waiting) yield();
      break;
    }
    if (decoded.kind == FrameKind::malformed) {
      if (sender_.flush() == SendResult::waiting) break;
      count_malformed();
      continue;
    }
    malformed_in_a_row_ = 0;
    if (decoded.kind == FrameKind::data && !take_frame(decoded.frame)) break;
  }
  if (!ended_ && !sender_.is_waiting()) sender_.flush();
  lane_.work.did(work_ - before);
  const std::byte* const unsent = sender_.take_unsent();
  return unsent == nullptr ? at : static_cast<std::size_t>(unsent - in.data());
}

void Client::yield() {
  yields_ = true;
  lane_.work.go_on(*this);
}

void Client::count_malformed() {
  lane_.counters.drop(Drop::malformed);
  if (++malformed_in_a_row_ == kMostMalformed) end("64 malformed frames in a row");
}

/// False: the stream has to wait, from the sender's first frame on, or from this one if it has none.
bool Client::take_frame(const Frame& frame) {
  Forward* forward = find(frame.conid);
  if (forward == nullptr || frame.has(kRebind) || forward->dns.queries || forward->generation != lane_.generation() ||
      !std::ranges::equal(forward->wire_address(), frame.address)) {
    if (sender_.flush() == SendResult::waiting) return false;
    forward = forward_for(forward, frame);
    if (forward == nullptr) return true;
  }
  if (frame.payload.size() > kLargestUdpPayloadV4 && forward->remote().address.is_v4()) {
    lane_.counters.drop(Drop::oversize);
    return true;
  }
  touch(*forward);
  if (!sender_.add(*forward, forward->overhead(), frame.payload)) return false;
  return !forward->to_resolver || send_query(*forward, frame.payload);
}

/// The query is in the sender, alone, as each is judged.
bool Client::send_query(Forward& forward, Bytes query) {
  const SendResult result = sender_.flush();
  if (result == SendResult::sent) lane_.dns.asked(forward, query);
  return result != SendResult::waiting;
}

/// The forward for a frame that cannot just go to the one of its conid: a new one, or the old one judged again.
/// Null: the frame has been dropped and counted.
Forward* Client::forward_for(Forward* forward, const Frame& frame) {
  if (forward != nullptr && !frame.has(kRebind) && std::ranges::equal(forward->wire_address(), frame.address))
    return judge_up(*forward, frame) ? forward : nullptr;
  work_ += kOpenWork;
  if (forward != nullptr) close_forward(*forward);
  return open_forward(frame);
}

/// A datagram of an open forward whose verdict does not stand from before. False: it is refused.
bool Client::judge_up(Forward& forward, const Frame& frame) {
  work_ += kJudgeWork;
  const Verdict verdict = judge_datagram(policy_, flow_of(forward), frame.payload);
  if (!verdict.allowed) {
    refuse(frame, verdict);
    // A blocked name is no verdict on the flow; a refused address or port is.
    if (verdict.reason != Reason::domain && verdict.reason != Reason::dns_malformed) close_forward(forward);
    return false;
  }
  settle(forward);
  if (!forward.to_resolver || forward.query != kNoSlot || !lane_.dns.has_failed(forward.resolver)) return true;
  const auto better = lane_.dns.choose();
  if (!better || lane_.dns.has_failed(*better) || move_to_resolver(forward, *better)) return true;
  lane_.counters.drop(Drop::no_socket);
  return false;
}

}  // namespace gatehouse::udpgw
