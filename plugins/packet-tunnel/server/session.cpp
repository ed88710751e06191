// A session's life, and that of its client's stream.
#include "plugins/packet-tunnel/server/session.hpp"

#include "plugins/packet-tunnel/common/features.hpp"
#include "plugins/packet-tunnel/server/lane.hpp"
#include "plugins/packet-tunnel/server/opening.hpp"

#include <gatehouse/base/endian.hpp>

namespace gatehouse::packet_tunnel {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kBlobSize = 4 + 4 + 1 + 4 + 16;
constexpr std::size_t kFreeOfCharge = 4096;      // bytes that wait for a client and are not counted: a page
constexpr std::size_t kMostUnsent = 128 * 1024;  // that the kernel may hold of a stream and has not sent
constexpr Nanoseconds kUsualTcpIdle = 7440s;     // where no traffic rule says: RFC 5382, REQ-5, 2 hours 4 minutes
constexpr Nanoseconds kUsualUdpIdle = 300s;      // RFC 4787, REQ-5
constexpr Nanoseconds kClosingIdle = 10s;        // of TCP that both ends have finished
constexpr Nanoseconds kLongestIdle{INT64_MAX / 2};
constexpr Nanoseconds kTouch = 60s;  // how often the host is told that the client is there

}  // namespace

std::vector<std::byte> SessionBlob::write() const {
  std::vector<std::byte> out(kBlobSize);
  const MutableBytes place(out);
  store_big(place, index);
  std::ranges::copy(leased.bytes(), place.subspan(4).begin());
  out[8] = std::byte{static_cast<std::uint8_t>((client_v4.is_v4() ? 1 : 0) | (client_v6.is_v6() ? 2 : 0))};
  std::ranges::copy(client_v4.bytes(), place.subspan(9).begin());
  std::ranges::copy(client_v6.bytes(), place.subspan(13).begin());
  return out;
}

std::optional<SessionBlob> SessionBlob::read(std::uint32_t version, Bytes blob) noexcept {
  if (version != kVersion || blob.size() != kBlobSize) return {};
  SessionBlob out{load_big<std::uint32_t>(blob), IpAddress::v4(blob.subspan(4, 4)), {}, {}};
  const auto flags = std::to_integer<unsigned>(blob[8]);
  if ((flags & 1) != 0) out.client_v4 = IpAddress::v4(blob.subspan(9, 4));
  if ((flags & 2) != 0) out.client_v6 = IpAddress::v6(blob.subspan(13, 16));
  return out;
}

std::string describe_session(std::uint64_t first, std::uint64_t second) {
  const auto low = [](std::uint64_t word) { return std::to_string(static_cast<std::uint32_t>(word)); };
  return "index " + low(first) + ", " + low(first >> 32) + " flows, packets refused: " + low(second) + " up, " +
         low(second >> 32) + " down";
}

void TunnelSession::tell_state() noexcept {
  has_news_ = false;
  const auto& [up, down] = metrics_.all_rejected;
  session_.set_state(facts_.index | std::uint64_t{flows()} << 32, up | std::uint64_t{down} << 32);
  const auto counts = metrics_.counts();
  for (std::size_t i = 0; i < counts.size(); ++i) session_.set_count(i, counts[i]);
}

TunnelSession::TunnelSession(TunnelLane& lane, const SessionBlob& facts, Session session, bool keeps_addresses)
    : lane_(lane),
      facts_(facts),
      keeps_addresses_(keeps_addresses),
      assigned_v4_(lane.prefixes().v4_address(facts.index)),
      assigned_v6_(lane.prefixes().v6() ? lane.prefixes().v6_address(facts.index) : IpAddress()),
      session_(std::move(session)),
      rate_timer_([this] {
        waits_for_rate_ = false;
        resume();
      }),
      queue_(lane.pool),
      down_timer_([this] { flush(); }) {
  lane_.counters.sessions.add();
  static_cast<void>(session_.want_counts());
  SessionMetrics::Counts counts;
  for (std::size_t i = 0; i < counts.size(); ++i) counts[i] = session_.count(i);
  metrics_ = SessionMetrics::from(counts);
  tell_state();
}

TunnelSession::~TunnelSession() {
  disconnect("the session has ended");
  lane_.end_waiting(*this);
  lane_.memory.hold(*this, 0);
  lane_.counters.sessions.sub();
  lane_.connections.info(source_.address, "session ended",
                         {{"address", assigned_v4_.to_string()}, {"carried", metrics_.to_string()}});
}

Expiry TunnelSession::expiry(Nanoseconds more) const {
  const Nanoseconds idle = limits_.session_idle.value_or(lane_.settings().session_idle);
  if (idle == 0ns) return Expiry::never();
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  return Expiry::at(now + std::chrono::ceil<std::chrono::seconds>(std::min(idle, kLongestIdle) + more));
}

void TunnelSession::resume_with(Session session) {
  disconnect("its client has come again");
  session_ = std::move(session);
  static_cast<void>(session_.want_counts());
  keeps_addresses_ = true;
  tell_state();
}

void TunnelSession::receive_client(Arrival arrival, PolicyClient policy, SessionResolvers resolvers) {
  arriving_ = std::make_unique<Arrival>(std::move(arrival));
  policy_.emplace(std::move(policy));
  resolvers_ = std::move(resolvers);
  policy_changed();
  name_ = arriving_->peer().to_string();
  source_ = arriving_->peer().source;
  identity_ = arriving_->identity();
  last_active = lane_.now();
  lane_.end_waiting(*this);
  lane_.sources.add(*this, source_.address, identity_);
}

void TunnelSession::let_in() {
  if (!arriving_) return;
  const std::unique_ptr<Arrival> arrival = std::move(arriving_);
  const bool is_large = lane_.takes_large_frames() && names_feature(arrival->field(kFeaturesField), kLargeFrames);
  form_ = is_large ? FrameForm::large : FrameForm::plain;
  lane_.connections.info(
      source_.address, keeps_addresses_ ? "session resumed" : "session opened",
      {{"client", name_},
       {"listener", arrival->listener().name},
       {"identity", arrival->identity().empty() ? "anonymous" : std::string_view(arrival->identity())},
       {"address", assigned_v4_.to_string()}});
  stream_.emplace(arrival->accept(
      opening_answer(lane_.settings().mtu, keeps_addresses_, lane_.prefixes().v6().has_value(), form_)));
  stream_->limit_unsent(kMostUnsent);
  lane_.client_connected();
  next_touch_ = lane_.now();
  if (!stream_->watch(lane_.loop().poller(), *this)) return disconnect("the system cannot watch it");
  account();
}

void TunnelSession::turn_away(const HttpRefusal& why) {
  if (!arriving_) return;
  std::exchange(arriving_, nullptr)->refuse(why);
  leave_sources();
}

void TunnelSession::refuse_address() {
  lane_.counters.refused_store.add();
  static_cast<void>(session_.release(facts_.leased.to_string()));
  if (!session_.resumed()) session_.end();
  turn_away({503, "the gateway's store does not take new sessions", std::chrono::seconds(5)});
}

/// No client has part in anything any more.
void TunnelSession::leave_sources() {
  policy_.reset();
  lane_.sources.remove(*this);
  lane_.begin_waiting(*this);
}

void TunnelSession::disconnect(std::string_view why) {
  if (arriving_) turn_away({503, "another client has come with this session", std::chrono::seconds(1)});
  if (!stream_) return;
  lane_.connections.info(
      source_.address, "client gone",
      {{"client", name_}, {"address", assigned_v4_.to_string()}, {"why", why}, {"carried", metrics_.to_string()}});
  reject(Direction::down, Reject::stream_ended, queue_.clear());
  output_.reset();
  kept_ = {};
  close_flows();
  lane_.loop().cancel(rate_timer_);
  lane_.loop().cancel(down_timer_);
  waits_for_rate_ = yields_ = blocked_ = is_broken_ = false;
  stream_->close();
  stream_.reset();
  fragments_up_.reset();
  fragments_down_.reset();
  account();
  lane_.client_gone();
  leave_sources();
  keep_facts();
  static_cast<void>(session_.touch(source_, expiry(0ns)));
}

void TunnelSession::policy_changed() {
  if (policy_) limits_ = policy_->limits();
}

bool TunnelSession::look_at_clock(SteadyTime now) {
  if (!session_.is_mine()) return false;
  keep_facts();
  if (has_news_) tell_state();
  constexpr std::array kLists = {FlowList::tcp, FlowList::datagram, FlowList::closing};
  const std::array<Nanoseconds, kLists.size()> idle = {limits_.tcp_idle.value_or(kUsualTcpIdle),
                                                       limits_.udp_idle.value_or(kUsualUdpIdle), kClosingIdle};
  for (std::size_t i = 0; i < kLists.size(); ++i) {
    if (idle[i] == 0ns) continue;
    const SteadyTime since = now - std::min(idle[i], kLongestIdle);
    const Lru& flows = list(kLists[i]);
    while (!flows.empty() && lane_.flows[flows.oldest()].last_used <= since) close_flow(lane_.flows[flows.oldest()]);
  }
  if (stream_ && now >= next_touch_) {
    next_touch_ = now + kTouch / 2;
    static_cast<void>(session_.touch(source_, expiry(kTouch)));
  }
  return true;
}

/// Where answers go: the client may have another address each time it comes.
void TunnelSession::remember_client(const IpAddress& address) noexcept {
  IpAddress& known = address.is_v4() ? facts_.client_v4 : facts_.client_v6;
  if (known == address) return;
  const bool is_first = known.family() == Family::none;
  known = address;
  has_moved_ = true;
  if (is_first) keep_facts();  // another one can wait for the clock: a client may change it with each packet
}

void TunnelSession::keep_facts() noexcept {
  if (!has_moved_) return;
  try {
    has_moved_ = static_cast<bool>(session_.keep(SessionBlob::kVersion, facts_.write()));
  } catch (const std::bad_alloc&) {  // it is known here; after a crash the client's first packet tells
  }
}

const IpAddress* TunnelSession::resolver_for(std::uint8_t version, std::uint16_t client_port) const noexcept {
  const auto& all = resolvers_.of(version);
  if (all.empty()) return nullptr;
  return &all[(client_port * 0x9e37u >> 4) % all.size()];
}

void TunnelSession::account() {
  const std::size_t waiting = queue_.memory() + (output_ ? PacketPool::cost_of(*output_) : 0) + kept_.memory() +
                              (stream_ ? stream_->memory() : 0);
  lane_.memory.hold(*this, waiting - std::min(waiting, kFreeOfCharge));
}

void TunnelSession::give_back() {
  const std::size_t before = held(), enough = before - before / 4;
  kept_.trim();
  shrink_output();
  account();
  if (held() <= enough) return;
  lane_.budget.ran_short(Resource::memory);
  reject(Direction::down, Reject::memory, queue_.drop_to(queue_.memory() / 2));
  account();
  if (held() > enough) disconnect("it has most waiting, and memory_bytes of all clients are used up");
}

}  // namespace gatehouse::packet_tunnel
