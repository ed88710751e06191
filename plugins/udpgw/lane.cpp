#include "plugins/udpgw/lane.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <fstream>

namespace gatehouse::udpgw {
namespace {

using namespace std::chrono_literals;

constexpr int kReceiveBuffer = 1'200'000;     // so that 1000 datagrams of 1 KB at once survive
constexpr std::size_t kInput = 256 * 1024;    // bytes read from a stream at once
constexpr Nanoseconds kTick = 250ms;          // resolution of idle times
constexpr std::size_t kJudgedPerTurn = 4096;  // forwards, after a policy change

/// What there is of descriptors, with something left for everybody else.
std::size_t descriptors() noexcept {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  const std::size_t all = files.rlim_cur;
  return all - std::min<std::size_t>(256, all / 4);
}

/// How many sockets get a local port of their own. A tenth stays free: in a full range the kernel looks at every port
/// before it gives up, 2 ms each time where it has 16,384 hash slots (udp_lib_get_port), and 1 ms to find the last one.
std::size_t local_ports() {
  std::size_t first = 32768, last = 60999;
  std::ifstream("/proc/sys/net/ipv4/ip_local_port_range") >> first >> last;
  return (last - first + 1) / 10 * 9;
}

/// The sockets that one lane may have: an equal share, so that no lane can take what another one's clients need.
std::size_t share_of_sockets(std::uint32_t lanes, const UdpgwSettings& settings) {
  const std::size_t addresses = settings.egress_v4.size() + settings.egress_v6.size();  // each has a range of its own
  const std::size_t all = std::min(descriptors(), local_ports() * std::max<std::size_t>(addresses, 1));
  return std::max<std::size_t>(all / std::max(lanes, 1u), 16);
}

}  // namespace

UdpgwLane::UdpgwLane(const LaneContext& context, std::shared_ptr<const UdpgwSettings> settings)
    : counters(context),
      connections(context.loop, context.host.log()),
      connector(kReceiveBuffer),
      dns(context, settings),
      input(kInput),
      context_(context),
      identities_(context),
      settings_(std::move(settings)),
      socket_share_(share_of_sockets(context.lane->count, *settings_)),
      ticker_([this] { tick(); }) {
  segmentation = settings_->udp_segment;
  context_.loop.on_turn([this] { ++turn_; }, [this] { end_turn(); });
  context_.loop.schedule(ticker_, kTick);
  if (context_.lane->index == 0) {
    if (const auto small = connector.small_buffer())
      host().log().warn("bursts to one forward may be lost: receive buffers are small; raise net.core.rmem_max",
                        {{"bytes", std::to_string(*small)}, {"wanted", std::to_string(kReceiveBuffer)}});
  }
}

UdpgwLane::~UdpgwLane() {
  listeners_.clear();
  context_.pending -= clients_.size();
  clients_.clear();
}

void UdpgwLane::configure(std::shared_ptr<const UdpgwSettings> settings) {
  settings_ = std::move(settings);
  segmentation = settings_->udp_segment;
  socket_share_ = share_of_sockets(context_.lane->count, *settings_);
  dns.configure(settings_);
}

void UdpgwLane::listen(const std::vector<Listener>& listeners) {
  std::erase_if(listeners_, [&](const auto& known) {
    return std::none_of(listeners.begin(), listeners.end(),
                        [&](const Listener& listener) { return listener.id == known.first; });
  });
  if (draining_) return;
  for (const Listener& listener : listeners) {
    auto& slot = listeners_[listener.id];
    if (slot) continue;
    slot = std::make_unique<StreamListener>(
        context_.loop, listener.fd, [this, listener](Stream stream) { accept(listener, std::move(stream)); },
        [this](const Error&) {
          counters.accept_pauses.add();
          recycle();
        });
  }
}

void UdpgwLane::accept(const Listener& listener, Stream stream) {
  if (is_short_of_sockets() && !recycle()) {
    counters.streams_without_socket.add();
    return;
  }
  const StreamPeer& peer = stream.peer();
  if (!listener.identity.empty() || !peer.uid) return admit(listener, std::move(stream), listener.identity);
  const std::string uid = std::to_string(*peer.uid);
  const auto waiting = std::make_shared<Stream>(std::move(stream));
  ++unnamed_;
  identities_.identify(CredentialKind::unix_user, uid, [this, listener, waiting](const Result<std::string>& who) {
    --unnamed_;
    if (who || who.error() == Errc::not_found) {
      if (listeners_.contains(listener.id)) admit(listener, std::move(*waiting), who ? *who : std::string());
      return;
    }
    counters.streams_refused.add();
    host().log().warn("stream refused: the system does not say which user it is",
                      {{"client", waiting->peer().to_string()}, {"why", who.error().message()}});
  });
}

void UdpgwLane::admit(const Listener& listener, Stream stream, const std::string& identity) {
  // Without a key, since the protocol has no word for one: it ends with its stream, or here, if policy refuses it.
  auto session = Session::open(context_, {.identity = identity, .source = stream.peer().source});
  if (!session) {
    counters.streams_without_session.add();
    return;
  }
  auto policy = PolicyClient::open(context_, {listener.id, stream.peer().source, identity, session->id()});
  if (!policy) {
    const Verdict& why = policy.error();
    counters.streams_refused.add();
    connections.info(stream.peer().source.address, "stream refused",
                     {{"client", stream.peer().to_string()}, {"why", to_text(why.reason)}, {"row", row_text(why)}});
    return;
  }
  connections.info(stream.peer().source.address, "stream opened",
                   {{"client", stream.peer().to_string()},
                    {"listener", listener.name},
                    {"identity", identity.empty() ? "anonymous" : std::string_view(identity)}});
  auto client = std::make_unique<Client>(*this, ++clients_seen_, std::move(stream), std::move(*session),
                                         std::move(*policy), identity);
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
  listeners_.clear();
}

void UdpgwLane::flush_at_end_of_turn(Client& client) {
  if (std::exchange(client.listed_for_flush, true)) return;
  to_flush_.push_back(&client);
}

bool UdpgwLane::recycle() {
  return recycle_largest([](const Client&) { return true; });
}

bool UdpgwLane::recycle(const Client& sharer) {
  return recycle_largest([&sharer](const Client& client) { return client.shares_limits_with(sharer); });
}

template <class Wanted>
bool UdpgwLane::recycle_largest(Wanted wanted) {
  Client* largest = nullptr;
  for (const auto& [client, owned] : clients_)
    if (wanted(*client) && (largest == nullptr || client->forward_count() > largest->forward_count())) largest = client;
  return largest != nullptr && largest->recycle();
}

void UdpgwLane::end_turn() {
  if (judging_again_) {
    judging_again_ = !forwards.sweep(judging_cursor_, kJudgedPerTurn, [this](SlotHandle, ForwardKey, Forward& forward) {
      if (forward.generation != generation_) forward.client.judge_again(forward);
    });
    if (judging_again_) context_.loop.post([] {});  // the next slice soon, also when nothing comes in
  }
  for (Client* client : to_flush_) {
    client->listed_for_flush = false;
    client->flush();
  }
  to_flush_.clear();
  for (Client* client : ended_) {
    clients_.erase(client);
    --context_.pending;
  }
  ended_.clear();
}

void UdpgwLane::tick() {
  for (const auto& [client, owned] : clients_)
    if (!client->ended()) client->look_at_clock(now());
  context_.loop.schedule(ticker_, kTick);
}

}  // namespace gatehouse::udpgw
