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

constexpr unsigned kMostMalformed = 64;  // in a row; then this is no client of ours

/// Errors that a connected socket has from an ICMP message about an earlier datagram. Reporting one clears it.
bool is_report_of_earlier(int error) noexcept {
  return error == ECONNREFUSED || error == EHOSTUNREACH || error == ENETUNREACH || error == EHOSTDOWN ||
         error == ENOPROTOOPT || error == EPROTO;
}

bool is_full(int error) noexcept { return error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS; }

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
  if (std::exchange(first_bytes_, false) && looks_like_tun2proxy(in))
    return end(
        "its first frame is of tun2proxy's protocol, which only shares the name: use a badvpn-compatible client");
  process(in);
}

void Client::resume() {
  if (ended_) return;
  const MutableBytes input(lane_.input);
  std::copy(kept_.begin(), kept_.end(), input.begin());
  full_ = nullptr;
  process(input.first(kept_.size()));
  if (!ended_) want();
}

void Client::process(Bytes in) {
  const std::size_t used = decode_frames(in);
  if (!ended_) keep(in.subspan(used));
}

void Client::keep(Bytes rest) { kept_.assign(rest.begin(), rest.end()); }

std::size_t Client::decode_frames(Bytes in) {
  UpstreamRun run;
  const auto offset = [in](const std::byte* at) { return static_cast<std::size_t>(at - in.data()); };
  std::size_t at = 0;
  for (Decoded decoded; !ended_; at += decoded.size) {
    decoded = decode(in.subspan(at));
    if (decoded.kind == FrameKind::incomplete) break;
    if (decoded.kind == FrameKind::malformed) {
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
  const bool is_new =
      forward == nullptr || frame.has(kRebind) || !std::ranges::equal(forward->wire_address(), frame.address);
  if (is_new || forward->judged_each || forward->generation != lane_.generation()) {
    if (!send_run(run)) return false;
    if (is_new) {
      if (forward != nullptr) {
        lane_.counters.drop(Drop::rebound, replies_.drop(frame.conid));
        close_forward(*forward);
      }
      forward = open_forward(frame);
      if (forward == nullptr) return true;
    } else if (!judge_up(*forward, frame)) {
      return true;
    }
  }
  if (frame.payload.size() > kLargestUdpPayloadV4 && forward->remote().address.is_v4()) {
    lane_.counters.drop(Drop::oversize);
    return true;
  }
  if (run.count != 0 && run.takes(forward, frame.payload) && !forward->sends_singly && !forward->judged_each &&
      lane_.segmentation) {
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
  if (forward.to_resolver && lane_.dns.has_failed(forward.resolver)) {
    const auto better = lane_.dns.choose();
    if (better && *better != forward.resolver) move_to_resolver(forward, *better);
  }
  return true;
}

/// Asks the rates. False: the stream waits. The run is emptied where it may not go at all.
bool Client::charge(UpstreamRun& run) {
  const std::uint64_t wait = policy_.consume(GH_UP, run.count, run.bytes, lane_.now());
  if (wait == 0) return true;
  if (wait == UINT64_MAX) {
    lane_.counters.drop(Drop::rate, run.count);
    run.count = run.bytes = 0;
    return true;
  }
  lane_.loop().schedule(rate_pause_, Nanoseconds(std::min<std::uint64_t>(wait, 1'000'000'000)));
  want();
  return false;
}

bool Client::send_run(UpstreamRun& run) {
  if (run.count == 0) return true;
  if (limits_.metered != 0 && !charge(run)) return false;
  if (run.count == 0) return true;
  Forward& forward = *run.forward;
  touch(forward);
  for (int attempt = 0; run.count > 1 && attempt < 2; ++attempt) {
    const auto sent = send_segments(forward.fd.get(), std::span(run.payloads).first(run.count), run.segment);
    if (sent) {
      lane_.counters.datagrams_up.add(run.count);
      lane_.counters.bytes_up.add(run.bytes);
      usage_.packets_up += run.count;
      usage_.bytes_up += run.bytes;
      run.count = run.bytes = 0;
      return true;
    }
    const int error = sent.error().value();
    if (is_full(error)) {
      pause_for(forward);
      return false;
    }
    if (is_report_of_earlier(error)) {
      lane_.counters.icmp_errors.add();
      continue;
    }
    if (error == EIO) lane_.segmentation = false;  // no checksum offload on this path (kernel: udp_send_skb)
    forward.sends_singly = true;                   // larger than the path's MTU, most likely
    break;
  }
  return send_singly(run);
}

bool Client::send_singly(UpstreamRun& run) {
  Forward& forward = *run.forward;
  for (const Bytes payload : std::span(run.payloads).first(run.count)) {
    switch (send_one(forward, payload)) {
      case Sent::full:
        run.begin = payload.data() - forward.overhead();
        pause_for(forward);
        return false;
      case Sent::refused: lane_.counters.drop(Drop::send_failed); break;
      case Sent::done:
        lane_.counters.datagrams_up.add();
        lane_.counters.bytes_up.add(payload.size());
        ++usage_.packets_up;
        usage_.bytes_up += payload.size();
        if (forward.to_resolver) lane_.dns.asked(forward, payload);
        break;
    }
  }
  run.count = run.bytes = 0;
  return true;
}

Client::Sent Client::send_one(Forward& forward, Bytes payload) {
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (::send(forward.fd.get(), payload.data(), payload.size(), MSG_NOSIGNAL) >= 0) return Sent::done;
    if (is_full(errno)) return Sent::full;
    if (!is_report_of_earlier(errno)) return Sent::refused;
    lane_.counters.icmp_errors.add();  // of an earlier datagram: this one has not been tried yet
  }
  return Sent::refused;
}

void Client::pause_for(Forward& forward) {
  full_ = &forward;
  lane_.loop().poller().modify(forward.fd.get(), EPOLLIN | EPOLLOUT, forward);
  want();
}

}  // namespace gatehouse::udpgw
