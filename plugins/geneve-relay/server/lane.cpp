#include "plugins/geneve-relay/server/lane.hpp"

#include <gatehouse/net/reuseport_steering.hpp>

#include <algorithm>

namespace gatehouse::geneve_relay {
namespace {

using namespace std::chrono_literals;

constexpr int kSocketBuffer = 7 * 1024 * 1024;     // as the reference: a burst of 1,000 pairs' handshakes survives
constexpr std::size_t kReplies = 64;               // challenges that leave together
constexpr std::uint64_t kLamportBlock = 1000;      // numbers taken from the host at a time
constexpr std::size_t kJudgedPerTurn = 2048;       // endpoints, after a policy change
constexpr std::size_t kServedPerTurn = 128;        // endpoints that are kept; each costs some 5 us
constexpr std::size_t kStraysPerTurn = 64;         // runs of other lanes
constexpr std::size_t kMessagesPerTurn = 64;       // of other lanes; an allocation costs 0.1 ms
constexpr std::size_t kExpiredPerTick = 8192;      // endpoints looked at
constexpr Nanoseconds kTick = 100ms;               // resolution of lifetimes
constexpr Nanoseconds kLongestLook = 15s;          // each endpoint is looked at so often: who uses it, has it ended?
constexpr Nanoseconds kKernelLook = 2s;            // interfaces and totals of the kernel's part are looked at
constexpr Nanoseconds kTouch = 1h;                 // the host is told so often that it is still there
constexpr std::uint32_t kFirstTouches = 600;       // seconds in which it is first told of those that are served again
constexpr std::chrono::seconds kRemembered = 48h;  // what the host remembers without that
constexpr std::string_view kVniSpace = "vni";
constexpr PayloadNumber kVniInPayload{4, 3};

/// Below 2^24, as VNIs are.
std::uint32_t random_number(const Host& host) {
  std::uint32_t out = 0;
  host.random(std::as_writable_bytes(std::span(&out, 1)));
  return out % (kLargestVni + 1);
}

SourceLimits limits_of_sources(const RelaySettings& settings) {
  return {settings.handshakes_of_source, 4 * settings.handshakes_of_source};
}

}  // namespace

RelayLane::RelayLane(const LaneContext& context, std::shared_ptr<const RelaySettings> settings, RelayShared& shared)
    : context_(context),
      settings_(std::move(settings)),
      shared_(shared),
      counters_(context),
      connections_(context.loop, context.host.log()),
      kernel_legs_(shared.kernel(), context.lane->index, counters_),
      kernel_attachment_(context.lane->index == 0 ? shared.kernel() : nullptr),
      endpoints_(shared.pair_hash()),
      expiry_(context.loop.now(), kTick),
      secrets_(random_, context.loop.now()),
      of_sources_(limits_of_sources(*settings_)),
      replies_(kReplies),
      sealed_(context, *this, shared.secret(), random_,
              [this](Bytes datagram, const LegAddress& path, std::uint32_t listener) {
                static_cast<void>(send_now(datagram, path, listener));
              }),
      api_(context, *this),
      vnis_(context.lane->index, context.lane->count, random_number(context.host)),
      lamport_ids_(context, "lamport-id", kLamportBlock),
      unsent_(context.lane->count),
      messages_ready_([this] {
        shared_.inbox(context_.lane->index)
            .messages.receive([this](std::unique_ptr<LaneMessage>&& message) { receive_message(std::move(message)); },
                              kMessagesPerTurn);
      }),
      strays_ready_([this] {
        shared_.inbox(context_.lane->index)
            .strays.receive([this](StrayRun&& run) { receive_stray(std::move(run)); }, kStraysPerTurn);
      }),
      ticker_([this] { tick(); }) {
  vnis_.use(Ranges(context_.host).of(kVniSpace));
  LaneInbox& inbox = shared_.inbox(context_.lane->index);
  context_.loop.poller().add(inbox.messages.fd(), EPOLLIN, messages_ready_).value();
  context_.loop.poller().add(inbox.strays.fd(), EPOLLIN, strays_ready_).value();
  context_.loop.on_turn([] {}, [this] { end_turn(); });
  context_.loop.schedule(ticker_, kTick);
  if (context_.lane->index != 0) return;
  notices_.emplace(context_.host, kSocketBuffer);
  keeper_.emplace(context_, shared_.addresses(), random_, [this](Bytes datagram, const Endpoint& to) {
    return send_now(datagram, {to, {}});
  });
}

/// Sessions stay, for the next process, or for this lane when it runs again.
RelayLane::~RelayLane() {
  LaneInbox& inbox = shared_.inbox(context_.lane->index);
  context_.loop.poller().remove(inbox.messages.fd(), messages_ready_);
  context_.loop.poller().remove(inbox.strays.fd(), strays_ready_);
  for (const auto& [endpoint, waiting] : waiting_) context_.pending -= waiting.askers.size();
  context_.pending -= demands_.size();
  auto& kept = shared_.kept(context_.lane->index);
  std::uint32_t cursor = 0;
  endpoints_.sweep(cursor, SIZE_MAX, [&](SlotHandle, RelayEntry& entry) {
    count_out(entry);
    kernel_legs_.withdraw(entry);
    if (entry.is_durable) {
      kept.add({entry.session.id(), entry.asker->identity, entry.asker->source, blob_of(entry)});
    } else {
      shared_.vnis().remove(entry.endpoint.vni());
    }
  });
  kept.begin();
  tell_awaited();
}

void RelayLane::configure(std::shared_ptr<const RelaySettings> settings) {
  const auto before = std::exchange(settings_, std::move(settings));
  if (keeper_) {
    shared_.addresses().configure(advertised_of(*settings_));
    keeper_->ask();
  }
  kernel_attachment_.make_room(settings_->most_endpoints, context_.host.log());
  if (before->handshakes_of_source != settings_->handshakes_of_source) of_sources_ = limits_of_sources(*settings_);
  std::uint32_t cursor = 0;
  endpoints_.sweep(cursor, SIZE_MAX, [this](SlotHandle, RelayEntry& entry) { schedule(entry); });
}

void RelayLane::listen(const std::vector<Listener>& listeners) {
  listener_names_.clear();
  for (const Listener& listener : listeners) listener_names_[listener.id] = listener.name;
  listen_datagrams(listeners);
  api_.listen(draining_ ? std::vector<Listener>{} : listeners);
  if (!keeper_) return;
  shared_.addresses().set_sockets(sockets_of(listeners, context_.lane->index));
  keeper_->ask();
}

void RelayLane::listen_datagrams(const std::vector<Listener>& listeners) {
  const auto has = [&](const RelaySocket& socket) {
    return std::ranges::any_of(listeners, [&](const Listener& listener) { return listener.id == socket.listener(); });
  };
  std::erase_if(sockets_, [&](const auto& socket) { return !has(*socket); });
  const UdpListenerOptions options{
      .aggregates = true, .gso = settings_->gso, .receive_buffer = kSocketBuffer, .send_buffer = kSocketBuffer};
  for (const Listener& listener : listeners) {
    const bool is_there =
        std::ranges::any_of(sockets_, [&](const auto& socket) { return socket->listener() == listener.id; });
    if (listener.transport != Transport::udp || is_there) continue;
    sockets_.push_back(std::make_unique<RelaySocket>(
        context_.loop.poller(), listener, options,
        [this](RelaySocket& socket, std::span<Datagram> datagrams) { receive(socket, datagrams); }));
    if (context_.lane->count == 1) continue;
    if (const auto done = steer_by(listener.fd, kVniInPayload, context_.lane->count);
        !done && context_.lane->index == 0)
      context_.host.log().warn("the kernel does not steer packets to the lanes of their endpoints: they cost more",
                               {{"listener", listener.name}, {"why", done.error().message()}});
  }
  std::uint32_t cursor = 0;
  endpoints_.sweep(cursor, SIZE_MAX, [this](SlotHandle, RelayEntry& entry) {
    find_sockets(entry);
    kernel_legs_.review(entry, now());
  });
  look_at_kernel();
}

/// By which clients reach that address of the relay; null: none, any more.
RelaySocket* RelayLane::socket_of(const IpAddress& local, std::uint16_t port) noexcept {
  for (const auto& socket : sockets_)
    if (socket->serves(local, port)) return socket.get();
  return nullptr;
}

void RelayLane::find_sockets(RelayEntry& entry) noexcept {
  for (LegIndex leg = 0; leg < kLegs; ++leg) {
    const LegAddress& address = entry.endpoint.address(leg);
    entry.sockets[leg] = address.is_set() ? socket_of(address.local, address.local_port) : nullptr;
  }
}

/// By that listener's socket, or without one by the first of the family. False: there is none.
bool RelayLane::send_now(Bytes datagram, const LegAddress& path, std::optional<std::uint32_t> listener) noexcept {
  const auto can = [&path, listener](const auto& socket) {
    const IpAddress& own = socket->local().address;
    return socket->listener() == listener.value_or(socket->listener()) &&
           own.family() == path.remote.address.family() &&
           (own.is_unspecified() || path.local.family() == Family::none || own == path.local);
  };
  const auto socket = std::ranges::find_if(sockets_, can);
  if (socket == sockets_.end()) return false;
  std::array<std::byte, SealedAllocation::kLargestAnswer> copy;
  if (datagram.size() > copy.size()) return false;
  std::ranges::copy(datagram, copy.begin());
  Datagram out;
  out.payload = MutableBytes(copy).first(datagram.size());
  out.remote = path.remote;
  out.local = path.local;
  out.link = path.remote.scope;
  return (*socket)->udp().send(std::span(&out, 1)) == 1;
}

/// From the first of all generations on there is a policy: what an earlier process left is served again, as far as it
/// lets it.
void RelayLane::policy_changed(std::uint64_t) {
  begin_serving_again();
  judge_all();
}

/// In the turns that follow.
void RelayLane::judge_all() {
  rejudging_.begin();  // of none, too: it ends with the kernel's map of before
  kernel_legs_.hold_back();
  context_.loop.again();
}

void RelayLane::woken(WakeReasons reasons) {
  if (reasons.ranges) vnis_.use(Ranges(context_.host).of(kVniSpace));
}

void RelayLane::drain(SteadyTime) {
  draining_ = true;
  api_.listen({});
  kernel_legs_.close();
  std::uint32_t cursor = 0;
  endpoints_.sweep(cursor, SIZE_MAX, [this](SlotHandle, RelayEntry& entry) { kernel_legs_.withdraw(entry); });
}

void RelayLane::begin_serving_again() {
  KeptEndpoints& kept = shared_.kept(context_.lane->index);
  kept.begin();
  tell_awaited();
  serving_again_ = !kept.empty();
}

/// So that lanes that are through leave room for what this one has to serve
/// yet.
void RelayLane::tell_awaited() noexcept {
  const std::uint32_t lane = context_.lane->index;
  shared_.awaited(lane).store(shared_.kept(lane).waiting(), std::memory_order_relaxed);
}

/// A slice of them; then whoever has asked for an endpoint meanwhile.
void RelayLane::go_on_serving_again() {
  const auto serve = [this](const KeptEndpoint& kept) { return serve_again(kept); };
  const bool is_over = !serving_again_ || shared_.kept(context_.lane->index).serve_some(kServedPerTurn, serve);
  tell_awaited();
  if (!is_over) return context_.loop.again();
  serving_again_ = false;
  for (std::size_t i = 0; i < kMessagesPerTurn && !demands_.empty(); ++i) {
    auto [demand, then] = std::move(demands_.front());
    demands_.pop_front();
    --context_.pending;
    give(std::move(demand), std::move(then));
  }
  if (!demands_.empty()) context_.loop.again();
}

/// By VNI. Of what is to be served again, it is one that somebody wants now: its turn comes at once.
EndpointTable::Found RelayLane::find(std::uint32_t vni) {
  const auto found = endpoints_.find(vni);
  if (found || !serving_again_) [[likely]]
    return found;
  shared_.kept(context_.lane->index).serve(vni, [this](const KeptEndpoint& kept) { return serve_again(kept); });
  tell_awaited();
  return endpoints_.find(vni);
}

/// False: policy does not want it now, as it would cut one that is served. It stays, for the next generation.
bool RelayLane::serve_again(const KeptEndpoint& kept) {
  tell_awaited();  // it has its place from here on
  const RelayBlob& blob = kept.blob;
  if (endpoints_.find(blob.vni) || endpoints_.find(blob.clients)) {  // asked for anew meanwhile, by somebody else
    if (auto session = Session::adopt(context_, kept.session)) session->end();
    if (!endpoints_.find(blob.vni)) shared_.vnis().remove(blob.vni);
    return true;
  }
  RelayEndpoint endpoint(blob.vni, blob.clients, now());
  for (LegIndex leg = 0; leg < kLegs; ++leg)  // its memory is had before anything of it is in a table
    if (blob.legs[leg].is_set()) endpoint.bind(leg, blob.legs[leg], now());
  const auto listener =
      std::ranges::find_if(listener_names_, [&](const auto& at) { return at.second == blob.listener; });
  const std::uint32_t id = listener == listener_names_.end() ? UINT32_MAX : listener->first;
  auto policy = PolicyClient::open(context_, {id, kept.source, kept.identity, kept.session});
  if (!policy) {
    counters_.deny(policy.error());
    return false;
  }
  const auto session = Session::adopt(context_, kept.session);
  if (!session) {
    shared_.vnis().remove(blob.vni);
    return true;
  }
  const auto made = endpoints_.insert(blob.vni, std::move(endpoint), blob.lamport_id,
                                      known_askers_.at({std::string(kept.identity), kept.source, id}),
                                      session->handle(), std::move(*policy));
  made->is_durable = true;
  made->touched = now() - kTouch + std::chrono::seconds(blob.vni % kFirstTouches);  // not of all at once: each is a row
  find_sockets(*made);
  judge(*made);
  schedule(*made);
  made->tell_state();
  count_in(*made);
  return true;
}

/// Under the lane's present policy: where a client is bound, it may be or not.
void RelayLane::judge(RelayEntry& entry) noexcept {
  entry.is_metered = entry.policy.limits().metered;
  for (LegIndex leg = 0; leg < kLegs; ++leg) {
    const LegAddress& address = entry.endpoint.address(leg);
    if (!address.is_set()) continue;
    const Verdict verdict = entry.policy.check({.destination = address.remote, .peer_asked = true});
    if (verdict.allowed == entry.endpoint.is_permitted(leg)) continue;
    entry.endpoint.set_permitted(leg, verdict.allowed);
    if (verdict.allowed) continue;
    entry.endpoint.refuse(leg, Drop::denied);
    counters_.deny(verdict);
    entry.tell_state();
  }
  kernel_legs_.review(entry, now());
}

RelayBlob RelayLane::blob_of(const RelayEntry& entry) const {
  const RelayEndpoint& endpoint = entry.endpoint;
  RelayBlob out{endpoint.vni(), entry.lamport_id, endpoint.clients(), {endpoint.address(0), endpoint.address(1)}, {}};
  if (const auto name = listener_names_.find(entry.asker->listener); name != listener_names_.end())
    out.listener = name->second;
  return out;
}

/// So long the host remembers an endpoint of which it hears nothing: as when the gateway does not run.
Expiry RelayLane::expiry() const {
  return Expiry::at(context_.host.utc_now() + kRemembered +
                    std::chrono::ceil<std::chrono::seconds>(settings_->steady_lifetime));
}

void RelayLane::schedule(RelayEntry& entry) noexcept {
  const SteadyTime end = entry.endpoint.expires_at(settings_->bind_lifetime, settings_->steady_lifetime);
  expiry_.schedule(entry, std::min(end, now() + kLongestLook));
}

void RelayLane::look_at_clock(RelayEntry& entry) {
  const auto found = endpoints_.find(entry.endpoint.vni());
  if (!entry.session.is_mine()) return remove(found, false);
  kernel_legs_.collect(entry);
  if (entry.endpoint.expires_at(settings_->bind_lifetime, settings_->steady_lifetime) <= now()) {
    counters_.expired.add();
    return remove(found, true);
  }
  if (entry.endpoint.is_open()) entry.last_active = std::min(entry.endpoint.last_seen(0), entry.endpoint.last_seen(1));
  if (now() - entry.touched >= kTouch) {
    entry.touched = now();
    static_cast<void>(entry.session.touch(context_, entry.asker->source, expiry()));
  }
  kernel_legs_.review(entry, now());
  schedule(entry);
}

void RelayLane::count_in(RelayEntry& entry) {
  shared_.vnis().add(entry.endpoint.vni());
  entry.last_active = now();
  askers_.add(entry, entry.asker->source.address, entry.asker->identity);
  (entry.endpoint.is_open() ? counters_.open : counters_.connecting).add();
  shared_.endpoints().fetch_add(1, std::memory_order_relaxed);
}

void RelayLane::count_out(RelayEntry& entry) noexcept {
  askers_.remove(entry);
  (entry.endpoint.is_open() ? counters_.open : counters_.connecting).sub();
  shared_.endpoints().fetch_sub(1, std::memory_order_relaxed);
}

void RelayLane::remove(EndpointTable::Found found, bool ends_session) {
  const auto askers = take_askers(found.handle);
  count_out(*found);
  kernel_legs_.withdraw(*found);
  shared_.vnis().remove(found->endpoint.vni());
  if (ends_session) found->session.end(context_);
  endpoints_.erase(found.handle);
  answer(askers, AllocationRefusal{AllocationRefusal::Cause::full, "the endpoint has just ended: ask again", 1s});
}

void RelayLane::end_turn() {
  if (serving_again_ || !demands_.empty()) go_on_serving_again();
  if (rejudging_.sweep() != Rejudging::Sweep::none) go_on_judging();
}

/// A slice: of the first sweep, in which the kernel loses what is denied, or of
/// the second, in which it gets what may be there.
void RelayLane::go_on_judging() {
  const bool judges = rejudging_.sweep() == Rejudging::Sweep::judge;
  const bool is_over = rejudging_.go_on(endpoints_, kJudgedPerTurn, [this, judges](SlotHandle, RelayEntry& entry) {
    judges ? judge(entry) : kernel_legs_.review(entry, now());
  });
  if (is_over && judges) kernel_legs_.admit();
  if (rejudging_.sweep() != Rejudging::Sweep::none) return context_.loop.again();
  kernel_legs_.settle();
}

void RelayLane::tick() {
  kernel_legs_.beat(now());
  if (kernel_legs_.takes_larger_map()) judge_all();
  expiry_.advance(
      now(), [this](RelayEntry& entry) { look_at_clock(entry); }, kExpiredPerTick);
  send_unsent();
  give_up_asking();
  for (const auto& socket : sockets_) counters_.tell(*socket);
  if (notices_) {
    notices_->tell_room(shared_, *settings_, now());
    notices_->tell_sockets(sockets_, *settings_);
  }
  if (now() - kernel_looked_at_ >= kKernelLook) look_at_kernel();
  end_those_in_kernel();
  context_.loop.schedule(ticker_, kTick);
}

/// A session that was ended ends its endpoint: with the next packet that user space sees, and within the second where
/// the kernel relays.
void RelayLane::end_those_in_kernel() {
  if (shared_.kernel() == nullptr) return;
  constexpr auto kTicks = static_cast<std::size_t>(std::chrono::seconds(1) / kTick);
  most_there_were_ = std::max(most_there_were_, endpoints_.size());  // places are looked at, also those that are free
  endpoints_.sweep(kernel_cursor_, most_there_were_ / kTicks + 1, [this](SlotHandle, RelayEntry& entry) {
    if (!entry.session.is_mine()) remove(endpoints_.find(entry.endpoint.vni()), false);
  });
}

/// The first lane's: interfaces come and go.
void RelayLane::look_at_kernel() {
  kernel_looked_at_ = now();
  kernel_legs_.tell(context_.host.log(), now());
  if (context_.lane->index != 0 || shared_.kernel() == nullptr) return;
  std::vector<Endpoint> listeners;
  for (const auto& socket : sockets_) listeners.push_back(socket->local());
  kernel_attachment_.follow(listeners, context_.host);
  counters_.tell(shared_.kernel()->totals());
}

}  // namespace gatehouse::geneve_relay
