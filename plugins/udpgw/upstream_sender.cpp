// A run's way out.
//   1. flush():  charge() asks how much of it may go now; a quota drops the rest, a rate puts it off
//   2. send():   what was granted, by one UDP_SEGMENT send; datagram by datagram where that is refused
//   3. a full socket keeps what was paid for, and is watched until it takes more
#include "plugins/udpgw/upstream_sender.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace gatehouse::udpgw {
namespace {

using namespace std::chrono_literals;

constexpr std::uint8_t kMostRefusedRuns = 2;           // in a row; then the socket's datagrams go singly
constexpr std::uint64_t kLongestWait = 1'000'000'000;  // ns, for a rate: it may have been raised
/// A wake-up for each small datagram would cost more than the datagram: what a rate lets go in this time goes together,
/// as far as it has no more than these bytes, which every burst holds.
constexpr std::uint64_t kTogether = 20'000'000;  // ns
constexpr std::uint64_t kTogetherBytes = 512;

bool is_full(int error) noexcept { return error == EAGAIN || error == EWOULDBLOCK; }

}  // namespace

UpstreamSender::UpstreamSender(LaneLoop& loop, Counters& counters, const PolicyClient& policy, Session& session,
                               bool& segmentation, std::function<void()> resume)
    : loop_(loop),
      counters_(counters),
      policy_(policy),
      session_(session),
      segmentation_(segmentation),
      resume_(std::move(resume)),
      timer_([this] { resume_(); }) {}

bool UpstreamSender::add(FlowSocket& to, std::size_t overhead, Bytes payload) {
  if (run_.takes(to, payload) && to.refused_runs < kMostRefusedRuns && segmentation_) {
    run_.add(payload);
    return true;
  }
  if (flush() == SendResult::waiting) return false;
  run_.begin(to, overhead, payload);
  return true;
}

const std::byte* UpstreamSender::take_unsent() noexcept {
  if (run_.empty()) return nullptr;
  const std::byte* const front = run_.front();
  run_.clear();
  return front;
}

SendResult UpstreamSender::flush() {
  if (run_.empty()) return SendResult::lost;
  const Granted grant = metered_ ? charge() : Granted{run_.size(), 0};
  std::size_t over_quota = 0;
  if (grant.wait == kNever) {  // a stream that waited for the next day would keep its client from everything else
    over_quota = run_.size() - grant.datagrams;
    run_.cut(grant.datagrams);
  }
  const SendResult result = grant.datagrams == 0 ? SendResult::lost : send(grant.datagrams);
  if (result != SendResult::waiting) counters_.drop(Drop::quota, over_quota);  // else they come again
  if (result == SendResult::waiting || run_.empty()) return result;
  const std::uint64_t several = grant.wait * std::max<std::uint64_t>(kTogetherBytes / cost_of(1), 1);
  wait(Nanoseconds(std::min(std::max(grant.wait, std::min(several, kTogether)), kLongestWait)));
  return SendResult::waiting;
}

/// What was paid for while the socket was full is the begin of this run; or credit for it, by its bytes, where the flow
/// that it was paid for has been cut since.
UpstreamSender::Granted UpstreamSender::charge() {
  std::size_t paid = std::min<std::size_t>(run_.size(), paid_packets_);
  while (paid != 0 && cost_of(paid) > paid_bytes_) --paid;
  const std::uint64_t paid_bytes = paid == 0 ? 0 : cost_of(paid);
  if (paid != run_.size()) {
    const std::uint64_t want = cost_of(run_.size()) - paid_bytes;
    const std::uint64_t least = run_.segment() + run_.to().headers;
    const Grant grant = policy_.charge(Direction::up, run_.size() - paid, want, least, loop_.now());
    if (grant.bytes != want) {
      paid_packets_ = paid_bytes_ = 0;
      return {paid + grant.bytes / least, grant.wait};
    }
  }
  paid_packets_ -= paid;
  paid_bytes_ -= paid_bytes;
  return {run_.size(), 0};
}

/// The first `granted` datagrams of the run. What goes is taken off; with `waiting`, what does not has been paid for.
SendResult UpstreamSender::send(std::size_t granted) {
  if (granted > 1) {
    const Sent together = send_together(granted);
    if (together == Sent::done) return SendResult::sent;
    if (together != Sent::refused) {
      wait_for_socket(together, granted);
      return SendResult::waiting;
    }
  }
  SendResult result = SendResult::lost;
  for (std::size_t left = granted; left != 0; --left, run_.pop_front(1)) {
    const Bytes payload = run_.payloads().front();
    const Sent outcome = send_one(payload);
    if (outcome == Sent::full || outcome == Sent::short_of_memory) {
      wait_for_socket(outcome, left);
      return SendResult::waiting;
    }
    if (outcome == Sent::refused) {
      counters_.drop(Drop::send_failed);
    } else {
      count_sent(1, payload.size());
      result = SendResult::sent;
    }
  }
  return result;
}

UpstreamSender::Sent UpstreamSender::send_together(std::size_t datagrams) {
  FlowSocket& to = run_.to();
  for (int attempt = 0; attempt < 2; ++attempt) {
    ++calls_;
    const auto sent = send_segments(to.fd.get(), run_.payloads().first(datagrams), run_.segment());
    if (sent) {
      to.refused_runs = 0;
      if (attempt != 0) counters_.icmp_errors.add();
      count_sent(datagrams, run_.bytes_of(datagrams));
      run_.pop_front(datagrams);
      return Sent::done;
    }
    const int error = sent.error().value();
    if (is_full(error)) return Sent::full;
    if (error == ENOBUFS) return Sent::short_of_memory;
    if (error == EIO) {  // no checksum offload on this way (kernel: udp_send_skb)
      segmentation_ = false;
      break;
    }
    // The first error may be the report of an ICMP message about an earlier datagram, which this one cleared.
  }
  if (to.refused_runs < kMostRefusedRuns) ++to.refused_runs;
  return Sent::refused;
}

UpstreamSender::Sent UpstreamSender::send_one(Bytes payload) {
  for (int attempt = 0; attempt < 2; ++attempt) {
    ++calls_;
    if (::send(run_.to().fd.get(), payload.data(), payload.size(), MSG_NOSIGNAL) >= 0) {
      if (attempt != 0) counters_.icmp_errors.add();  // the first error told of an earlier datagram
      return Sent::done;
    }
    if (is_full(errno)) return Sent::full;
    if (errno == ENOBUFS) return Sent::short_of_memory;
  }
  return Sent::refused;
}

/// The next `paid` datagrams of the run cannot go now, though they may: the stream waits until they can.
void UpstreamSender::wait_for_socket(Sent why, std::size_t paid) {
  if (metered_) {
    paid_packets_ += paid;
    paid_bytes_ += cost_of(paid);
  }
  if (why == Sent::short_of_memory) return wait(1ms);  // no event tells when that is over
  full_ = &run_.to();
  loop_.poller().modify(full_->fd.get(), EPOLLIN | EPOLLOUT, *full_);
}

void UpstreamSender::count_sent(std::size_t datagrams, std::size_t bytes) noexcept {
  counters_.datagrams_up.add(datagrams);
  counters_.bytes_up.add(bytes);
  session_.count_up(datagrams, bytes);
}

void UpstreamSender::writable(FlowSocket& socket) {
  loop_.poller().modify(socket.fd.get(), EPOLLIN, socket);
  if (full_ != &socket) return;
  full_ = nullptr;
  resume_();
}

void UpstreamSender::forget(const FlowSocket& socket) {
  if (full_ != &socket) return;
  full_ = nullptr;
  wait(0ns);
}

void UpstreamSender::stop() noexcept {
  full_ = nullptr;
  loop_.cancel(timer_);
}

}  // namespace gatehouse::udpgw
