#include "plugins/packet-tunnel/server/lane.hpp"

#include <algorithm>
#include <array>

namespace gatehouse::packet_tunnel {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kInput = 512 * 1024;    // bytes read from a stream at once
constexpr Nanoseconds kTick = 250ms;          // resolution of idle times
constexpr std::size_t kJudgedPerTurn = 4096;  // flows, after a policy change
constexpr TurnWork kWork{.turn = 8000, .client = 2000, .little = 64};
constexpr std::size_t kReads = 256;  // of the device in a turn: half a millisecond of small packets
constexpr std::size_t kReadBytes = 1024 * 1024;
constexpr std::size_t kSmallPacket = 2048;    // bytes; of such a busy lane waits for more, of super-packets it does not
constexpr std::size_t kWarmPart = 16;         // of the memory, for blocks between two uses
constexpr std::size_t kLeastMemory = 262144;  // of a lane, however many there are
constexpr std::size_t kArrivalsPerTurn = 8;   // of other lanes: each may ask the store a hundred times
constexpr std::size_t kMostWaiting = 4096;    // sessions in memory without a client: 10 MB

std::uint64_t random_word(const Host& host) {
  std::array<std::byte, sizeof(std::uint64_t)> bytes;
  host.random(bytes);
  return std::bit_cast<std::uint64_t>(bytes);
}

std::uint32_t last_three_bytes(Bytes address) noexcept {
  const Bytes last = address.last(3);
  return std::to_integer<std::uint32_t>(last[0]) << 16 | std::to_integer<std::uint32_t>(last[1]) << 8 |
         std::to_integer<std::uint32_t>(last[2]);
}

}  // namespace

TunnelLane::TunnelLane(const LaneContext& context, std::shared_ptr<const TunnelSettings> settings, TunnelShared& shared)
    : counters(context),
      connections(context.loop, context.host.log()),
      budget(context),
      memory(0),
      work(context.loop, kWork),
      input(kInput + kLongestLargeFrame),
      context_(context),
      settings_(std::move(settings)),
      shared_(shared),
      device_(shared.device(), context.lane->index),
      listeners_(context, {[this](Arrival arrival) { admit({std::move(arrival)}); },
                           [this](const Error& why) {
                             counters.accept_pauses.add();
                             if (why.value() == EMFILE || why.value() == ENFILE)
                               budget.ran_short(Resource::descriptors);
                           }}),
      finds_(context.completions),
      indexes_(context.lane->index, context.lane->count, random_word(context.host)),
      coalescer_(*this, device_.merges_udp()),
      device_ready_([this] { read_device(); }),
      arrivals_ready_([this] {
        shared_.arrivals(context_.lane->index)
            .receive(
                [this](Newcomer&& newcomer) {
                  listeners_.adopt(newcomer.arrival);
                  admit(std::move(newcomer));
                },
                kArrivalsPerTurn);
      }),
      ticker_([this] { tick(); }) {
  use_ranges();
  if (settings_->nat && !settings_->device_fd) conntrack_.emplace();
  share_memory();
  Poller& poller = context_.loop.poller();
  const auto watched = [](const Result<void>& added) {
    if (!added) throw boost::system::system_error(added.error(), "the device cannot be watched");
  };
  watched(poller.add(device_.fd(), EPOLLIN, device_ready_));
  watched(poller.add(shared_.arrivals(context_.lane->index).fd(), EPOLLIN, arrivals_ready_));
  context_.loop.on_turn([this] { begin_turn(); }, [this] { end_turn(); });
  context_.loop.schedule(ticker_, kTick);
}

TunnelLane::~TunnelLane() {
  listeners_.listen({});
  for (const auto& [index, session] : sessions_) session->disconnect("the gateway stops");
  to_flush_.clear();
  sessions_.clear();
  recycled_.clear();
  context_.loop.poller().remove(device_.fd(), device_ready_);
  context_.loop.poller().remove(shared_.arrivals(context_.lane->index).fd(), arrivals_ready_);
}

void TunnelLane::listen(const std::vector<Listener>& listeners) {
  if (!draining_) listeners_.listen(listeners);
}

void TunnelLane::policy_changed(std::uint64_t generation) {
  generation_ = generation;
  for (const auto& [index, session] : sessions_) session->policy_changed();
  judging_again_ = true;
  judging_cursor_ = 0;
}

void TunnelLane::woken(WakeReasons reasons) {
  if (reasons.ranges) use_ranges();
}

void TunnelLane::drain(SteadyTime) {
  draining_ = true;  // the host keeps its sockets: who comes meanwhile is told so, rather than left without an answer
}

void TunnelLane::client_connected() {
  counters.clients.add();
  ++context_.pending;
  memory.reserve(sessions_.size() + 1);
  work.reserve(sessions_.size() + 1);
}

void TunnelLane::client_gone() noexcept {
  counters.clients.sub();
  --context_.pending;
}

void TunnelLane::begin_waiting(TunnelSession& session) {
  waiting_.add(session, session.source().address, session.identity());
  if (waiting_.size() <= kMostWaiting) return;
  auto* const idlest = static_cast<TunnelSession*>(waiting_.idlest());
  waiting_.remove(*idlest);
  ended_.push_back(idlest->index());
}

void TunnelLane::flush_at_end_of_turn(TunnelSession& session) {
  if (std::exchange(session.listed_for_flush, true)) return;
  to_flush_.push_back(&session);
}

// ---- the device

void TunnelLane::gather(TunnelSession& session, MutableBytes packet, const IpPacket& facts, bool is_alone) noexcept {
  gathering_ = &session;
  is_alone || !device_.merges() ? coalescer_.add_alone(packet, facts) : coalescer_.add(packet, facts);
}

void TunnelLane::gather_super_packet(TunnelSession& session, MutableBytes packet, const IpPacket& facts,
                                     std::size_t segment_size, std::uint32_t packets) noexcept {
  gathering_ = &session;
  coalescer_.add_super_packet(packet, facts, segment_size, packets);
}

void TunnelLane::read_device() {
  for (std::size_t reads = 0, before = 0; reads < kReads && before < kReadBytes; ++reads) {
    if (!read_packet()) return;
    before += reading_ ? reading_->size : PacketPool::kLargestPacket;
  }
  context_.loop.busy().reached_limit();
}

/// False: there is nothing more.
bool TunnelLane::read_packet() {
  if (!reading_) reading_ = PacketBlockPtr(pool, pool.take(PacketPool::kLargestPacket));
  const auto fault = device_.read(*reading_);
  if (!fault) {
    if (fault.error() == Errc::closed) throw std::runtime_error("the device " + shared_.device().name() + " is gone");
    return false;
  }
  if (reading_->size < kSmallPacket) context_.loop.busy().add(1);
  if (*fault != PacketFault::none) {
    counters.rejected(Direction::down, reject_of(*fault));
    return true;
  }
  const Bytes to = reading_->facts.destination(reading_->bytes());
  const auto at = sessions_.find(last_three_bytes(to));
  if (at == sessions_.end() || !at->second->has_address(to)) {
    counters.rejected(Direction::down, Reject::no_session);
    return true;
  }
  at->second->forward_down(reading_);
  return true;
}

/// What it has counted, and whether it still takes super-packets.
void TunnelLane::look_at_device() {
  const DevicePort::Counters now = device_.counters();
  counters.device_reads.add(now.reads - device_before_.reads);
  counters.device_writes.add(now.writes - device_before_.writes);
  device_before_ = now;
  if (!std::exchange(merged_, device_.merges()) || device_.merges()) return;
  host().log().warn("the kernel refuses super-packets: packets are written one by one from now on",
                    {{"device", shared_.device().name()}});
}

// ---- turns

void TunnelLane::share_memory() {
  const std::size_t all = std::max(budget.memory(), kLeastMemory);
  pool.set_most_warm(all / kWarmPart);
  memory.resize(all - pool.most_warm());
}

void TunnelLane::begin_turn() {
  ++turn_;
  work.begin_turn();
}

void TunnelLane::end_turn() {
  if (judging_again_) {
    judging_again_ =
        !flows.sweep(judging_cursor_, kJudgedPerTurn, [this](SlotHandle, const FlowKey& key, TunnelFlow& flow) {
          if (flow.generation != generation_) flow.session.judge_again(key, flow);
        });
  }
  for (std::size_t i = 0; i < to_flush_.size(); ++i) {
    to_flush_[i]->listed_for_flush = false;
    to_flush_[i]->flush();
  }
  to_flush_.clear();
  work.end_turn();
  look_at_device();
  if (judging_again_) context_.loop.again();
  for (const std::uint32_t index : ended_) {
    const auto at = sessions_.find(index);
    if (at != sessions_.end() && at->second->is_alone()) sessions_.erase(at);  // nobody has come meanwhile
  }
  ended_.clear();
  recycled_.clear();
}

void TunnelLane::tick() {
  share_memory();
  for (const auto& [index, session] : sessions_) {
    if (session->look_at_clock(now())) continue;
    session->disconnect("its session was ended");
    ended_.push_back(index);
  }
  context_.loop.schedule(ticker_, kTick);
}

}  // namespace gatehouse::packet_tunnel
