// A client's life: from the accept to the last byte.
#include "plugins/socks5/server/client.hpp"

#include "plugins/socks5/server/lane.hpp"
#include "plugins/socks5/server/session_state.hpp"

#include <algorithm>

namespace gatehouse::socks5 {
namespace {

using namespace std::chrono_literals;

constexpr Nanoseconds kPatience = 10s;  // for the next word of an opening
constexpr Nanoseconds kLastWord = 2s;   // for the client to read why
constexpr Nanoseconds kLongestIdle{INT64_MAX / 2};
constexpr Nanoseconds kHalfClosed = 240s;    // without a byte (RFC 5382, REQ-5)
constexpr std::size_t kFreeOfCharge = 4096;  // bytes that wait for a client and are not counted: a page

}  // namespace

Client::Client(Socks5Lane& lane, Stream stream, int socket, std::shared_ptr<const Listener> listener,
               std::string identity)
    : lane_(lane),
      stream_(std::move(stream)),
      socket_(socket),
      listener_(std::move(listener)),
      identity_(std::move(identity)),
      since_(lane.now()),
      attempt_([this] { dial_failed(ETIMEDOUT); }) {
  last_active = lane.now();
  lane_.sources.add(*this, stream_.peer().source.address, identity_);
  lane_.counters.streams.add();
  lane_.counters.streams_opened.add();
  count_descriptors();
}

Client::~Client() {
  end("the lane stops");
  lane_.memory.hold(*this, 0);
  lane_.counters.streams.sub();
}

bool Client::start() { return stream_.watch(lane_.loop().poller(), *this).has_value(); }

void Client::on_ready(std::uint32_t events) {
  if (ended_) return;
  if (stage_ == Stage::tunnel) {
    tunnel_->client_ready(events);
  } else if ((events & (EPOLLERR | EPOLLHUP)) != 0 && stage_ != Stage::leaving) {
    end("the client has gone");
  } else if (stage_ == Stage::resolving || stage_ == Stage::dialing) {
    stream_.watch_for(false, false);  // what it says is for the target
  } else {
    read_words();
  }
  account();
}

void Client::tunnel_active() { last_active = lane_.now(); }

void Client::policy_changed() {
  generation = lane_.generation();
  if (ended_ || !policy_) return;
  limits_ = policy_->limits();
  if (association_) {
    association_->set_limits(limits_);
    return association_->policy_changed();
  }
  if (tunnel_) tunnel_->set_metered(limits_.metered);
  if (!has_flow_) return;
  const Verdict verdict = policy_->check({.destination = target_, .protocol = Protocol::tcp, .domain = name_});
  if (verdict.allowed) return;
  deny(verdict, target_);
  lane_.counters.tunnels_cut.add();
  if (tunnel_) tunnel_->abort();
  end("a newer policy denies it");
}

SteadyTime Client::deadline() const noexcept {
  const auto after = [](SteadyTime time, Nanoseconds wait) { return wait == 0ns ? SteadyTime::max() : time + wait; };
  switch (stage_) {
    case Stage::resolving:
    case Stage::dialing: return since_ + lane_.settings().connect_timeout;
    case Stage::leaving: return since_ + kLastWord;
    case Stage::tunnel:
      if (tunnel_->is_half_closed()) return last_active + kHalfClosed;
      return after(last_active, std::min(limits_.tcp_idle.value_or(lane_.settings().tunnel_idle), kLongestIdle));
    case Stage::association:
      return after(last_active, std::min(limits_.session_idle.value_or(lane_.settings().tunnel_idle), kLongestIdle));
    default: return since_ + kPatience;
  }
}

void Client::look_at_clock(SteadyTime now) {
  if (session_ && !session_->is_mine()) return end("its session was ended");
  if (association_) {
    association_->look_at_clock(now);
    account();  // its datagrams do not: that could end it within its own call
    if (ended_) return;
  }
  if (tunnel_) tunnel_->rest();
  if (now < deadline()) return;
  switch (stage_) {
    case Stage::resolving: answer(Reply::host_unreachable); return leave("its name was not resolved in time");
    case Stage::dialing: answer(Reply::host_unreachable); return leave("nobody answered in time");
    case Stage::tunnel:
    case Stage::association: return end("idle");
    case Stage::leaving: return end("it was told why");
    default: return refuse(Refusal::slow, "it did not say what it wants in time");
  }
}

void Client::end(std::string_view why) {
  if (std::exchange(ended_, true)) return;
  if (stage_ != Stage::leaving) lane_.log_closed(stream_.peer(), why);  // then it has been told
  hang_up();
  stop_waiting();
  close_flow();
  lane_.sources.remove(*this);
  if (tunnel_) tunnel_->stop();
  association_.reset();
  stream_.close();  // what it has taken goes with it: a tunnel ends when nothing is left
  count_descriptors();
  lane_.destroy_at_end_of_turn(*this);
}

void Client::account() {
  const std::size_t waiting = words_.capacity() + stream_.memory() + (tunnel_ ? tunnel_->memory() : 0) +
                              (association_ ? association_->memory() : 0);
  lane_.memory.hold(*this, ended_ ? 0 : waiting - std::min(waiting, kFreeOfCharge));
}

/// What waits here is a part of a stream, of which nothing can be thrown away.
void Client::give_back() {
  lane_.budget.ran_short(Resource::memory);
  end("it has most waiting, and memory_bytes of all clients are used up");
  lane_.memory.hold(*this, 0);
}

void Client::count_descriptors() noexcept {
  const std::size_t now = ended_ ? 0 : descriptors();
  lane_.sockets += now - descriptors_;
  descriptors_ = now;
}

}  // namespace gatehouse::socks5
