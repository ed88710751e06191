#include "plugins/socks5/server/lane.hpp"

#include <algorithm>
#include <cerrno>

namespace gatehouse::socks5 {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kInput = 256 * 1024;       // bytes read from a stream at once
constexpr std::size_t kLittleInput = 64 * 1024;  // when the turn has had enough
constexpr std::size_t kLeastInput = 16 * 1024;   // when memory is short
constexpr std::size_t kTurnBytes = 4 * 1024 * 1024;
constexpr std::size_t kReadPart = 16;         // of the free memory: so much of it may have to be kept
constexpr Nanoseconds kTick = 250ms;          // resolution of idle times
constexpr std::size_t kJudgedPerTurn = 4096;  // clients, after a policy change
constexpr std::size_t kToldPerTurn = 64;      // of those who wait for names
constexpr int kMostRecycled = 4;              // to win one descriptor
constexpr std::size_t kUnsentPart = 8;        // of the memory, for what the kernel holds of all streams
constexpr std::size_t kLeastUnsent = 16 * 1024, kMostUnsent = Socks5Lane::kUsualUnsent;
constexpr std::size_t kLeastMemory = 65536;  // of a lane, however many there are

}  // namespace

Socks5Lane::Socks5Lane(const LaneContext& context, std::shared_ptr<const Socks5Settings> settings)
    : counters(context),
      connections(context.loop, context.host.log()),
      budget(context),
      memory(std::max(budget.memory(), kLeastMemory)),
      identities(context),
      resolver(context, counters, settings),
      input(kInput),
      context_(context),
      settings_(std::move(settings)),
      listeners_(context, {[this](Arrival arrival) { admit(std::move(arrival)); },
                           [this](const Error& why) {
                             counters.accept_pauses.add();
                             if (why.value() == EMFILE || why.value() == ENFILE)
                               budget.ran_short(Resource::descriptors);
                           }}),
      ticker_([this] { tick(); }) {
  context_.loop.on_turn([this] { read_in_turn_ = 0; }, [this] { end_turn(); });
  context_.loop.schedule(ticker_, kTick);
}

Socks5Lane::~Socks5Lane() {
  listeners_.listen({});
  context_.pending -= clients_.size();
  clients_.clear();
}

void Socks5Lane::configure(std::shared_ptr<const Socks5Settings> settings) {
  settings_ = std::move(settings);
  resolver.configure(settings_);
}

void Socks5Lane::listen(const std::vector<Listener>& listeners) {
  if (draining_) return;
  for (const Listener& one : listeners)
    if (!known_.contains(one.id)) known_.emplace(one.id, std::make_shared<const Listener>(one));
  listeners_.listen(listeners);
  std::erase_if(known_, [&](const auto& known) {
    return std::none_of(listeners.begin(), listeners.end(), [&](const Listener& one) { return one.id == known.first; });
  });
}

void Socks5Lane::drain(SteadyTime) {
  draining_ = true;
  listeners_.listen({});
}

void Socks5Lane::admit(Arrival arrival) {
  constexpr std::chrono::seconds kSoon{5};
  if (!make_place(1)) {
    counters.refuse(Refusal::no_socket);
    budget.ran_short(Resource::descriptors);
    return arrival.refuse({503, "the gateway is full", kSoon});
  }
  const auto listener = known_.at(arrival.listener().id);
  const bool is_bare = !listener->tls && !listener->http_opening && !listener->proxy_protocol;
  Stream stream = arrival.accept();
  UniqueFd bare = is_bare ? stream.take_socket() : UniqueFd();  // its bytes are the socket's
  const int socket = bare.get();
  memory.reserve(clients_.size() + 1);
  const SlotHandle handle =
      clients_.emplace(*this, is_bare ? Stream(std::move(bare), arrival.peer(), nullptr) : std::move(stream), socket,
                       listener, arrival.identity());
  Client& client = *clients_.at(handle);
  client.slot = handle.slot();
  ++context_.pending;
  if (!client.start()) client.end("the system cannot watch it");
}

bool Socks5Lane::make_place(std::size_t wanted) {
  for (int i = 0; i < kMostRecycled && descriptors() + wanted > budget.descriptors(); ++i) {
    SourceClient* const idlest = sources.idlest();
    if (idlest == nullptr) return false;
    counters.streams_recycled.add();
    budget.ran_short(Resource::descriptors);
    static_cast<Client*>(idlest)->end("it made place for a newer stream: descriptors are short");
  }
  return descriptors() + wanted <= budget.descriptors();
}

MutableBytes Socks5Lane::room_to_read() noexcept {
  const std::size_t most = read_in_turn_ >= kTurnBytes ? kLittleInput : kInput;
  return MutableBytes(input).first(std::clamp(memory.free() / kReadPart, kLeastInput, most));
}

std::size_t Socks5Lane::room_to_splice() const noexcept {
  return read_in_turn_ >= kTurnBytes ? kLittleInput : static_cast<std::size_t>(PipePool::kCapacity);
}

std::size_t Socks5Lane::most_unsent() const noexcept {
  return std::clamp(memory.size() / kUnsentPart / (2 * (clients_.size() + 1)), kLeastUnsent, kMostUnsent);
}

void Socks5Lane::policy_changed(std::uint64_t generation) {
  generation_ = generation;
  judging_again_ = true;
  judging_cursor_ = 0;
}

void Socks5Lane::judge_again() {
  judging_again_ = !clients_.sweep(judging_cursor_, kJudgedPerTurn, [this](SlotHandle, Client& client) {
    if (client.generation != generation_) client.policy_changed();
  });
  if (judging_again_) context_.loop.again();
}

void Socks5Lane::end_turn() {
  if (judging_again_) judge_again();
  if (!resolver.tell(kToldPerTurn)) context_.loop.again();
  for (const std::uint32_t slot : ended_) {
    clients_.erase(clients_.handle_at(slot));
    --context_.pending;
  }
  ended_.clear();
}

void Socks5Lane::tick() {
  memory.resize(std::max(budget.memory(), kLeastMemory));
  std::uint32_t cursor = 0;
  clients_.sweep(cursor, SIZE_MAX, [this](SlotHandle, Client& client) {
    if (!client.ended()) client.look_at_clock(now());
  });
  context_.loop.schedule(ticker_, kTick);
}

void Socks5Lane::log_opened(const StreamPeer& peer, const Listener& listener, std::string_view identity) {
  connections.info(peer.source.address, "stream opened",
                   {{"client", peer.to_string()},
                    {"listener", listener.name},
                    {"identity", identity.empty() ? "anonymous" : identity}});
}

void Socks5Lane::log_closed(const StreamPeer& peer, std::string_view why) {
  connections.info(peer.source.address, "stream closed", {{"client", peer.to_string()}, {"why", why}});
}

void Socks5Lane::log_refused(const StreamPeer& peer, const Verdict& why) {
  connections.info(peer.source.address, "stream refused",
                   {{"client", peer.to_string()}, {"why", to_text(why.reason)}, {"row", row_text(why)}});
}

void Socks5Lane::log_denied(const StreamPeer& peer, std::string_view name, const Endpoint& to, const Verdict& why) {
  const Log& log = context_.host.log();
  if (!log.wants(LogLevel::debug)) return;
  log.debug("refused", {{"client", peer.to_string()},
                        {"name", name},
                        {"to", to.to_string()},
                        {"why", to_text(why.reason)},
                        {"row", row_text(why)}});
}

}  // namespace gatehouse::socks5
