// From the stream to the network.
//   1. read():          what the stream has, up to 256 KiB, behind what was kept of the last read
//   2. decode_frames(): frames in place, none copied
//   3. take_frame():    the forward of each; a new one is judged and opened; a name or a newer policy is judged
//   4. send_run():      consecutive frames of one forward leave by one system call
// What a socket or a rate does not take at once stays in kept_, and the stream is not read until it does.
#include "plugins/udpgw/lane.hpp"

#include <sys/socket.h>

#include <cerrno>

namespace gatehouse::udpgw {
namespace {

constexpr unsigned kMostMalformed = 64;       // in a row; then this is no client of ours
constexpr unsigned kMostOpens = 128;          // of one client in a turn: an open costs as much as ten datagrams
constexpr std::uint8_t kMostRefusedRuns = 2;  // in a row; then the forward's datagrams go singly
constexpr std::size_t kKeptCapacity = 65536;  // of the buffer of an idle client

using namespace std::chrono_literals;

bool is_full(int error) noexcept { return error == EAGAIN || error == EWOULDBLOCK; }

}  // namespace

void Client::read() {
  const MutableBytes input(lane_.input);
  std::copy(kept_.begin(), kept_.end(), input.begin());
  const auto got = stream_.read(input.subspan(kept_.size()));
  if (!got) {
    if (got.error() == Errc::would_block) return;
    if (got.error() != Errc::closed) return end(got.error().message());
    half_closed_at_ = lane_.now();
    return want();
  }
  last_life_ = lane_.now();
  const Bytes in = input.first(kept_.size() + *got);
  if (first_bytes_) {
    if (looks_like_tun2proxy(in))
      return end(
          "its first frame is of tun2proxy's protocol, which shares only the name: use a badvpn-compatible client");
    first_bytes_ = in.size() < kLengthSize + kHeaderSize;
  }
  process(in);
}

void Client::resume() {
  if (ended_) return;
  const MutableBytes input(lane_.input);
  std::copy(kept_.begin(), kept_.end(), input.begin());
  process(input.first(kept_.size()));
  if (!ended_) want();
}

void Client::resume_after(Forward& forward) {
  lane_.loop().poller().modify(forward.fd.get(), EPOLLIN, forward);
  if (full_ != &forward) return;
  full_ = nullptr;
  resume();
}

void Client::process(Bytes in) {
  opens_left_ = kMostOpens;
  kept_.clear();  // it stands in `in`
  const Bytes rest = in.subspan(decode_frames(in));
  if (ended_) return count_lost(rest);
  if (rest.empty() && kept_.capacity() > kKeptCapacity) kept_ = {};
  kept_.assign(rest.begin(), rest.end());
}

std::size_t Client::decode_frames(Bytes in) {
  UpstreamRun run;
  const auto offset = [in](const std::byte* at) { return static_cast<std::size_t>(at - in.data()); };
  std::size_t at = 0;
  for (Decoded decoded; !ended_; at += decoded.size) {
    decoded = decode(in.subspan(at));
    if (decoded.kind == FrameKind::incomplete) break;
    if (decoded.kind == FrameKind::malformed) {
      if (!send_run(run)) return offset(run.begin);
      count_malformed();
      continue;
    }
    malformed_in_a_row_ = 0;
    if (decoded.kind == FrameKind::data && !take_frame(decoded.frame, &in[at], run))
      return run.count != 0 ? offset(run.begin) : at;
  }
  if (!ended_ && !send_run(run)) return offset(run.begin);
  return at;
}

void Client::count_malformed() {
  lane_.counters.drop(Drop::malformed);
  if (++malformed_in_a_row_ == kMostMalformed) end("64 malformed frames in a row");
}

/// False: the stream has to wait, from the run's first frame on, or from this one if there is no run.
bool Client::take_frame(const Frame& frame, const std::byte* begin, UpstreamRun& run) {
  Forward* forward = find(frame.conid);
  if (forward == nullptr || frame.has(kRebind) || forward->judged_each || forward->generation != lane_.generation() ||
      !std::ranges::equal(forward->wire_address(), frame.address)) {
    if (!send_run(run)) return false;
    if (opens_left_ == 0) {
      resume_after_delay(0ms);
      return false;
    }
    forward = settle(forward, frame);
    if (forward == nullptr) return true;
  }
  if (frame.payload.size() > kLargestUdpPayloadV4 && forward->remote().address.is_v4()) {
    if (!send_run(run)) return false;
    lane_.counters.drop(Drop::oversize);
    return true;
  }
  if (run.count != 0 && run.takes(forward, frame.payload) && forward->refused_runs < kMostRefusedRuns &&
      !forward->judged_each && lane_.segmentation) {
    run.add(frame.payload);
    return true;
  }
  if (!send_run(run)) return false;
  run.forward = forward;
  run.begin = begin;
  run.segment = frame.payload.size();
  run.add(frame.payload);
  return true;
}

/// The forward for a frame that cannot just go to the one of its conid: a new one, or the old one judged again.
/// Null: the frame has been dropped and counted.
Forward* Client::settle(Forward* forward, const Frame& frame) {
  if (forward != nullptr && !frame.has(kRebind) && std::ranges::equal(forward->wire_address(), frame.address))
    return judge_up(*forward, frame) ? forward : nullptr;
  --opens_left_;
  if (forward != nullptr) close_forward(*forward);
  return open_forward(frame);
}

/// A datagram of an open forward whose verdict does not stand from before. False: it is refused.
bool Client::judge_up(Forward& forward, const Frame& frame) {
  const gh_verdict verdict = judge_datagram(policy_, flow_of(forward), frame.payload);
  if (verdict.action != GH_ACTION_ALLOW) {
    refuse(frame, verdict);
    // A blocked name is no verdict on the flow; a refused address or port is.
    if (verdict.reason != GH_REASON_DOMAIN && verdict.reason != GH_REASON_DNS_MALFORMED) close_forward(forward);
    return false;
  }
  forward.generation = lane_.generation();
  if (!forward.to_resolver || forward.query != kNoSlot || !lane_.dns.has_failed(forward.resolver)) return true;
  const auto better = lane_.dns.choose();
  if (!better || lane_.dns.has_failed(*better) || move_to_resolver(forward, *better)) return true;
  lane_.counters.drop(Drop::no_socket);
  return false;
}

/// Asks the rates. False: the stream waits, and what of the run could go has gone. The run is emptied where it may not
/// go at all.
bool Client::charge(UpstreamRun& run) {
  const std::uint64_t packets = run.count - std::min<std::uint64_t>(run.count, paid_packets_);
  const std::uint64_t bytes = run.bytes - std::min<std::uint64_t>(run.bytes, paid_bytes_);
  const std::uint64_t wait = packets + bytes == 0 ? 0 : policy_.consume(GH_UP, packets, bytes, lane_.now());
  if (wait == 0) {
    paid_packets_ -= run.count - packets;
    paid_bytes_ -= run.bytes - bytes;
    return true;
  }
  if (wait == UINT64_MAX) {
    cut_to_quota(run);
    return true;
  }
  return charge_singly(run);
}

/// The rates do not hold all of the run now: what they hold goes. A run that waited for all of it would never find that
/// much where others, with smaller ones, share the rate.
bool Client::charge_singly(UpstreamRun& run) {
  auto fits = static_cast<std::size_t>(std::min<std::uint64_t>(run.count, paid_packets_));
  std::uint64_t wait = 0;
  while (fits < run.count && (wait = policy_.consume(GH_UP, 1, run.payloads[fits].size(), lane_.now())) == 0) ++fits;
  paid_packets_ = paid_bytes_ = 0;
  if (fits == run.count) return true;
  if (fits != 0) {
    const std::byte* const next = run.payloads[fits].data() - run.forward->overhead();
    const std::size_t left = run.count - fits;
    run.cut(fits);
    if (!send_paid(run)) return false;
    run.begin = next;  // the stream goes on from there
    run.count = left;
  }
  resume_after_delay(Nanoseconds(std::min<std::uint64_t>(wait, 1'000'000'000)));
  return false;
}

/// The quota does not hold all of the run: what it still holds goes, the rest is read and dropped, for a stream that
/// waited for the next day would keep its client from everything else.
void Client::cut_to_quota(UpstreamRun& run) {
  auto fits = static_cast<std::size_t>(std::min<std::uint64_t>(run.count, paid_packets_));
  while (fits < run.count && policy_.consume(GH_UP, 1, run.payloads[fits].size(), lane_.now()) == 0) ++fits;
  lane_.counters.drop(Drop::quota, run.count - fits);
  run.cut(fits);
  paid_packets_ = paid_bytes_ = 0;
}

bool Client::send_run(UpstreamRun& run) {
  if (run.count == 0) return true;
  if (limits_.metered != 0 && !charge(run)) return false;
  return run.count == 0 || send_paid(run);
}

/// False: the socket is full, and the stream waits from the run's first frame on.
bool Client::send_paid(UpstreamRun& run) {
  Forward& forward = *run.forward;
  touch(forward);
  for (int attempt = 0; run.count > 1 && attempt < 2; ++attempt) {
    const auto sent = send_segments(forward.fd.get(), std::span(run.payloads).first(run.count), run.segment);
    if (sent) {
      forward.refused_runs = 0;
      if (attempt != 0) lane_.counters.icmp_errors.add();
      count_sent(run);
      return true;
    }
    const int error = sent.error().value();
    if (is_full(error) || error == ENOBUFS) {
      wait_for(forward, error == ENOBUFS ? Sent::short_of_memory : Sent::full, run);
      return false;
    }
    if (error == EIO) {  // no checksum offload on this way (kernel: udp_send_skb)
      lane_.segmentation = false;
      break;
    }
    // The first error may be the report of an ICMP message about an earlier datagram, which this one cleared.
  }
  if (run.count > 1 && forward.refused_runs < kMostRefusedRuns) ++forward.refused_runs;
  return send_singly(run);
}

void Client::count_sent(UpstreamRun& run) {
  lane_.counters.datagrams_up.add(run.count);
  lane_.counters.bytes_up.add(run.bytes);
  session_.count_up(run.count, run.bytes);
  run.count = run.bytes = 0;
}

bool Client::send_singly(UpstreamRun& run) {
  Forward& forward = *run.forward;
  UpstreamRun sent;
  for (std::size_t i = 0; i < run.count; ++i) {
    const Bytes payload = run.payloads[i];
    const Sent outcome = send_one(forward, payload);
    if (outcome == Sent::full || outcome == Sent::short_of_memory) {
      run.begin = payload.data() - forward.overhead();
      run.count -= i;
      run.bytes -= sent.bytes;
      wait_for(forward, outcome, run);
      count_sent(sent);
      return false;
    }
    if (outcome == Sent::refused) {
      lane_.counters.drop(Drop::send_failed);
      run.bytes -= payload.size();
      continue;
    }
    ++sent.count;
    sent.bytes += payload.size();
    if (forward.to_resolver) lane_.dns.asked(forward, payload);
  }
  count_sent(sent);
  run.count = run.bytes = 0;
  return true;
}

Client::Sent Client::send_one(Forward& forward, Bytes payload) {
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (::send(forward.fd.get(), payload.data(), payload.size(), MSG_NOSIGNAL) >= 0) {
      if (attempt != 0) lane_.counters.icmp_errors.add();  // the first error told of an earlier datagram
      return Sent::done;
    }
    if (is_full(errno)) return Sent::full;
    if (errno == ENOBUFS) return Sent::short_of_memory;
  }
  return Sent::refused;
}

/// What is left of `run` cannot go now: the stream waits until it can.
void Client::wait_for(Forward& forward, Sent why, const UpstreamRun& run) {
  if (limits_.metered != 0) {
    paid_packets_ += run.count;
    paid_bytes_ += run.bytes;
  }
  if (why == Sent::short_of_memory) return resume_after_delay(1ms);  // no event tells when that is over
  full_ = &forward;
  lane_.loop().poller().modify(forward.fd.get(), EPOLLIN | EPOLLOUT, forward);
  want();
}

void Client::resume_after_delay(Nanoseconds delay) {
  lane_.loop().schedule(resume_timer_, delay);
  if (!ended_) want();
}

}  // namespace gatehouse::udpgw
