// A client's life: from the accept to the last reply.
#include "plugins/udpgw/client.hpp"

#include "plugins/udpgw/lane.hpp"

namespace gatehouse::udpgw {
namespace {

using namespace std::chrono_literals;

constexpr Nanoseconds kLongestIdle{INT64_MAX / 2};
constexpr std::size_t kFreeOfCharge = 4096;  // bytes that wait for a client and are not counted: a page
constexpr Nanoseconds kUsualIdle = 300s;     // of a forward where no traffic rule says (RFC 4787, REQ-5)

}  // namespace

Client::Client(UdpgwLane& lane, std::uint64_t number, Stream stream, Session session, PolicyClient policy,
               std::string_view identity)
    : lane_(lane),
      number_(number),
      name_(stream.peer().to_string()),
      stream_(std::move(stream)),
      session_(std::move(session)),
      policy_(std::move(policy)),
      sender_(lane.loop(), lane.counters, policy_, session_, lane.segmentation, [this] { resume(); }),
      replies_(lane.blocks, lane.settings().client_buffer) {
  policy_changed();
  last_active = lane.now();
  lane.sources.add(*this, stream_.peer().source.address, identity);
  lane_.counters.streams.add();
  lane_.counters.streams_opened.add();
}

Client::~Client() {
  end("the lane stops");
  lane_.memory.hold(*this, 0);
  lane_.counters.streams.sub();
}

bool Client::start() {
  if (!stream_.watch(lane_.loop().poller(), *this)) return false;
  account();
  return true;
}

void Client::on_ready(std::uint32_t events) {
  if ((events & EPOLLOUT) != 0) {
    blocked_ = false;
    flush();
  }
  if (ended_ || (events & ~std::uint32_t{EPOLLOUT}) == 0) return;
  if (is_half_closed()) return end("the client is gone");  // nothing more is wanted: an error or a hang-up
  if (is_waiting()) {                                      // what was read before goes first
    if ((events & EPOLLERR) != 0) return end("the client has reset its stream");
    return stream_.unwatch();
  }
  read();
}

void Client::policy_changed() {
  limits_ = policy_.limits();
  sender_.set_metered(limits_.metered);
}

void Client::look_at_clock(SteadyTime now) {
  if (!session_.is_mine()) return end("its session was ended");
  const Nanoseconds idle = limits_.udp_idle.value_or(kUsualIdle);
  if (idle != 0ns) {
    const SteadyTime since = now - std::min(idle, kLongestIdle);
    while (!forwards_.empty() && lane_.forwards[forwards_.oldest()].last_used <= since)
      close_forward(lane_.forwards[forwards_.oldest()]);
  }
  if (is_half_closed() && now - half_closed_at_ >= lane_.settings().fin_grace) return end("the client has finished");
  const Nanoseconds stream_idle = limits_.session_idle.value_or(lane_.settings().stream_idle);
  if (stream_idle != 0ns && now - last_active >= stream_idle) end("idle");
}

void Client::end(std::string_view why) {
  if (std::exchange(ended_, true)) return;
  lane_.connections.info(stream_.peer().source.address, "stream closed", {{"client", name_}, {"why", why}});
  lane_.counters.drop(Drop::stream_ended, replies_.clear());
  lane_.counters.drop(Drop::forward_closed, replies_.take_swept());
  count_lost(kept_.bytes());
  kept_ = {};
  while (!forwards_.empty()) close_forward(lane_.forwards[forwards_.oldest()]);
  account();
  lane_.sources.remove(*this);
  sender_.stop();
  stream_.close();
  lane_.destroy_at_end_of_turn(*this);
}

void Client::account() {
  replies_.release();
  const std::size_t waiting = replies_.memory() + kept_.memory() + stream_.memory();
  lane_.memory.hold(*this, waiting - std::min(waiting, kFreeOfCharge));
}

/// What costs nobody anything comes first: what the stream takes, pages that are held and not used.
void Client::give_back() {
  const std::size_t before = held(), enough = before - before / 4;
  if (!blocked_) flush();
  if (ended_) return;
  replies_.trim();
  kept_.trim();
  account();
  if (held() <= enough) return;
  lane_.budget.ran_short(Resource::memory);
  const std::size_t dropped =
      replies_.halve([this](std::uint16_t conid, std::size_t frame) { replies_.reduce(share_of(conid), frame); });
  lane_.counters.drop(Drop::memory, dropped);
  account();
  // What is left cannot be thrown away without the stream: a frame that has been begun, or input that waits for a rate
  // or for its other half.
  if (held() > enough) end("it has most waiting, and memory_bytes of all clients are used up");
}

/// Frames of the client that are not sent on, because its stream has ended.
void Client::count_lost(Bytes rest) {
  for (Decoded frame = decode(rest); frame.kind != FrameKind::incomplete; frame = decode(rest)) {
    if (frame.kind == FrameKind::data) lane_.counters.drop(Drop::stream_ended);
    rest = rest.subspan(frame.size);
  }
}

}  // namespace gatehouse::udpgw
