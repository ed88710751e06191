#include "plugins/udpgw/lane.hpp"

#include <algorithm>
#include <cerrno>
#include <fstream>

namespace gatehouse::udpgw {
namespace {

using namespace std::chrono_literals;

constexpr int kReceiveBuffer = 1'200'000;     // so that 1000 datagrams of 1 KB at once survive
constexpr std::size_t kInput = 256 * 1024;    // bytes read from a stream at once
constexpr Nanoseconds kTick = 250ms;          // resolution of idle times
constexpr std::size_t kJudgedPerTurn = 4096;  // forwards, after a policy change
constexpr TurnWork kWork{.turn = 8000, .client = 2000, .little = 64};
constexpr int kMostRecycled = 4;             // to win one socket; more than one only where the share has shrunk
constexpr std::size_t kWarmPart = 16;        // of the memory, for blocks between two uses
constexpr std::size_t kLeastMemory = 65536;  // of a lane, however many there are: a frame
constexpr std::size_t kUnsentPart = 16;      // of the memory, for what the kernel holds of all streams
constexpr std::size_t kUsualUnsent = 128 * 1024, kLeastUnsent = 16 * 1024, kMostUnsent = 4 * 1024 * 1024;
constexpr std::size_t kUsualUnsentPart = 4;  // of the memory: while the usual bytes of all streams are within it

/// How many sockets get a local port of their own. A tenth stays free: in a full range the kernel looks at every port
/// before it gives up, 2 ms each time where it has 16,384 hash slots (udp_lib_get_port), and 1 ms to find the last one.
std::size_t local_ports() {
  std::size_t first = 32768, last = 60999;
  std::ifstream("/proc/sys/net/ipv4/ip_local_port_range") >> first >> last;
  return (last - first + 1) / 10 * 9;
}

/// The local ports that one lane may use: an equal share, so that no lane can take what another one's clients need.
std::size_t share_of_ports(std::uint32_t lanes, const UdpgwSettings& settings) {
  const std::size_t addresses = settings.egress_v4.size() + settings.egress_v6.size();  // each has a range of its own
  const std::size_t all = local_ports() * std::max<std::size_t>(addresses, 1);
  return std::max<std::size_t>(all / std::max(lanes, 1u), 1);
}

}  // namespace

std::size_t most_unsent(std::size_t memory, std::size_t streams) noexcept {
  const bool are_few = streams <= memory / kUsualUnsentPart / kUsualUnsent;
  return std::clamp(memory / kUnsentPart / streams, are_few ? kUsualUnsent : kLeastUnsent, kMostUnsent);
}

UdpgwLane::UdpgwLane(const LaneContext& context, std::shared_ptr<const UdpgwSettings> settings)
    : counters(context),
      connections(context.loop, context.host.log()),
      budget(context),
      memory(0),
      work(context.loop, kWork),
      connector(kReceiveBuffer),
      dns(context, settings),
      input(kInput),
      context_(context),
      settings_(std::move(settings)),
      port_share_(share_of_ports(context.lane->count, *settings_)),
      listeners_(context, {[this](Arrival arrival) { admit(std::move(arrival)); },
                           [this](const Error& why) {
                             counters.accept_pauses.add();
                             if (why.value() == EMFILE || why.value() == ENFILE)
                               budget.ran_short(Resource::descriptors);
                             recycle();
                           }}),
      ticker_([this] { tick(); }) {
  segmentation = settings_->udp_segment;
  share_memory();
  context_.loop.on_turn([this] { begin_turn(); }, [this] { end_turn(); });
  context_.loop.schedule(ticker_, kTick);
  if (context_.lane->index == 0) {
    if (const auto small = connector.small_buffer())
      host().log().warn("bursts to one forward may be lost: receive buffers are small; raise net.core.rmem_max",
                        {{"bytes", std::to_string(*small)}, {"wanted", std::to_string(kReceiveBuffer)}});
  }
}

UdpgwLane::~UdpgwLane() {
  listeners_.listen({});
  context_.pending -= clients_.size();
  clients_.clear();
}

void UdpgwLane::configure(std::shared_ptr<const UdpgwSettings> settings) {
  settings_ = std::move(settings);
  segmentation = settings_->udp_segment;
  port_share_ = share_of_ports(context_.lane->count, *settings_);
  dns.configure(settings_);
}

void UdpgwLane::listen(const std::vector<Listener>& listeners) {
  if (!draining_) listeners_.listen(listeners);
}

void UdpgwLane::admit(Arrival arrival) {
  constexpr std::chrono::seconds kSoon{5};
  const StreamPeer& peer = arrival.peer();
  if (!make_place_for_stream()) {
    counters.streams_without_socket.add();
    budget.ran_short(Resource::descriptors);
    return arrival.refuse({503, "the gateway is full", kSoon});
  }
  // Without a key, since the protocol has no word for one: it ends with its stream, or here, if policy refuses it.
  auto session = Session::open(context_, {.identity = arrival.identity(), .source = peer.source});
  if (!session) {
    counters.streams_without_session.add();
    return arrival.refuse({503, "the gateway can remember no more sessions", kSoon});
  }
  auto policy = PolicyClient::open(context_, {arrival.listener().id, peer.source, arrival.identity(), session->id()});
  if (!policy) {
    const Verdict& why = policy.error();
    counters.streams_refused.add();
    connections.info(peer.source.address, "stream refused",
                     {{"client", peer.to_string()}, {"why", to_text(why.reason)}, {"row", row_text(why)}});
    session = make_error_code(Errc::denied);  // it ends before the client can see that it is refused
    if (why.reason == Reason::concurrent_sessions) return arrival.refuse({429, "you have too many streams", kSoon});
    return arrival.refuse({403, "you may not use this gateway", {}});
  }
  connections.info(peer.source.address, "stream opened",
                   {{"client", peer.to_string()},
                    {"listener", arrival.listener().name},
                    {"identity", arrival.identity().empty() ? "anonymous" : std::string_view(arrival.identity())}});
  Stream stream = arrival.accept();
  stream.limit_unsent(most_unsent(memory.size(), streams() + 1));
  memory.reserve(clients_.size() + 1);
  work.reserve(clients_.size() + 1);
  auto client = std::make_unique<Client>(*this, ++clients_seen_, std::move(stream), std::move(*session),
                                         std::move(*policy), arrival.identity());
  Client* const at = client.get();
  clients_.emplace(at, std::move(client));
  ++context_.pending;
  if (!at->start()) at->end("the system cannot watch it");
}

void UdpgwLane::policy_changed(std::uint64_t generation) {
  generation_ = generation;
  for (const auto& [client, owned] : clients_) client->policy_changed();
  judging_again_ = true;
  judging_cursor_ = 0;
}

void UdpgwLane::drain(SteadyTime) {
  draining_ = true;
  listeners_.listen({});
}

void UdpgwLane::flush_at_end_of_turn(Client& client) {
  if (std::exchange(client.listed_for_flush, true)) return;
  to_flush_.push_back(&client);
}

/// Streams get half of the descriptors at most: a flood of them leaves the forwards of those that are there alone.
bool UdpgwLane::make_place_for_stream() {
  const std::size_t share = budget.descriptors();
  if (share / 2 <= listeners_.openings()) return false;  // nobody else's stream would help
  for (int i = 0; i < kMostRecycled && streams() >= share / 2; ++i) {
    SourceClient* const idlest = sources.idlest();
    if (idlest == nullptr) break;
    counters.streams_recycled.add();
    budget.ran_short(Resource::descriptors);
    static_cast<Client*>(idlest)->end("it made place for a newer stream: descriptors are short");
  }
  for (int i = 0; i < kMostRecycled && sockets() >= share && recycle(); ++i) budget.ran_short(Resource::descriptors);
  return streams() < share / 2 && sockets() < share;
}

void UdpgwLane::make_place_for_forward() {
  for (int i = 0; i < kMostRecycled; ++i) {
    const bool no_port = forwards.size() >= port_share_;
    if (!no_port && sockets() < budget.descriptors()) return;
    budget.ran_short(no_port ? Resource::ports : Resource::descriptors);
    if (!recycle()) return;
  }
}

bool UdpgwLane::recycle() {
  SourceClient* const busiest = sources.busiest();
  return busiest != nullptr && static_cast<Client*>(busiest)->recycle();
}

bool UdpgwLane::recycle_beside(Client& sharer) {
  SourceClient* const busiest = sources.busiest_beside(sharer);
  return busiest != nullptr && static_cast<Client*>(busiest)->recycle();
}

void UdpgwLane::share_memory() {
  const std::size_t all = std::max(budget.memory(), kLeastMemory);
  blocks.set_most_warm(all / kWarmPart);
  memory.resize(all - blocks.most_warm());
}

void UdpgwLane::begin_turn() {
  ++turn_;
  work.begin_turn();
}

void UdpgwLane::end_turn() {
  if (judging_again_) {
    judging_again_ = !forwards.sweep(judging_cursor_, kJudgedPerTurn, [this](SlotHandle, ForwardKey, Forward& forward) {
      if (forward.generation != generation_) forward.client.judge_again(forward);
    });
  }
  for (Client* client : to_flush_) {
    client->listed_for_flush = false;
    client->flush();
  }
  to_flush_.clear();
  work.end_turn();
  if (judging_again_) context_.loop.again();
  for (Client* client : ended_) {
    clients_.erase(client);
    --context_.pending;
  }
  ended_.clear();
}

void UdpgwLane::tick() {
  share_memory();
  if (streams() > budget.descriptors() / 2) make_place_for_stream();  // a reload has left fewer
  for (const auto& [client, owned] : clients_)
    if (!client->ended()) client->look_at_clock(now());
  context_.loop.schedule(ticker_, kTick);
}

}  // namespace gatehouse::udpgw
