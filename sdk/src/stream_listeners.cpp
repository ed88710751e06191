#include <gatehouse/plugin/stream_listeners.hpp>

#include "stream_opening.hpp"

#include <algorithm>
#include <exception>
#include <utility>

namespace gatehouse {
namespace {

constexpr std::size_t kOpeningsPart = 16;  // of the lane's descriptors
constexpr std::size_t kLeastOpenings = 8, kMostOpenings = 1024;
constexpr Nanoseconds kLook = std::chrono::milliseconds(250);  // for those that are too slow

TlsSettings settings_of(const Certificate& from, const Listener& listener) {
  TlsSettings out;
  out.chain = from.chain;
  out.key = from.key;
  if (listener.takes_certificate || !listener.needs_credential()) out.client_ca = from.client_ca;
  out.requires_certificate = listener.takes_certificate && !listener.takes_token && !listener.takes_user;
  out.alpn = from.alpn;
  out.ticket_key = from.ticket_key;
  out.ticket_key_before = from.ticket_key_before;
  out.least_version = static_cast<std::uint16_t>(from.least_version);
  out.ktls = from.ktls;
  out.scope = listener.name;
  return out;
}

bool is_one_of(const IpAddress& address, const std::vector<Prefix>& networks) noexcept {
  return std::any_of(networks.begin(), networks.end(),
                     [&](const Prefix& one) { return one.contains(address.unmapped()); });
}

/// Everybody on the way could read them.
bool sends_tokens_in_clear(const Listener& listener, const IpAddress& client) noexcept {
  return listener.takes_token && !listener.tls && client.family() != Family::none && !client.unmapped().is_loopback() &&
         !is_one_of(client, listener.trusted_proxies);
}

}  // namespace

StreamListeners::Counters::Counters(const LaneContext& context) {
  constexpr const char* kCauses[] = {"too_many", "too_fast", "too_slow",   "proxy",
                                     "tls",      "http",     "credential", "system"};
  static_assert(std::size(kCauses) == static_cast<std::size_t>(Refusal::count));
  for (std::size_t i = 0; i < std::size(kCauses); ++i)
    refused[i] =
        context.host.counter(context.lane, "openings_refused", "Streams that were closed before the frontend had them.",
                             {{"cause", kCauses[i]}});
  handshakes = context.host.counter(context.lane, "tls_handshakes", "TLS handshakes that were completed.");
  resumed = context.host.counter(context.lane, "tls_resumed", "Of these, with a ticket.");
  in_kernel = context.host.counter(context.lane, "tls_in_kernel", "Of these, whose records the kernel makes.");
}

StreamListeners::StreamListeners(const LaneContext& context, Events events)
    : context_(context),
      events_(std::move(events)),
      budget_(context),
      certificates_(context.host, context.lane),
      identities_(context),
      connections_(context.loop, context.host.log()),
      counters_(std::make_unique<Counters>(context)),
      rates_(kOpeningRate, kOpeningBurst),
      deadline_([this] { end_slow_ones(); }) {}

StreamListeners::StreamListeners(const LaneContext& context, Api api)
    : StreamListeners(context, Events{[](const Arrival&) {}, std::move(api.exhausted)}) {
  asked_ = std::move(api.asked);
  largest_body_ = api.largest_body;
}

StreamListeners::~StreamListeners() {
  listeners_.clear();
  openings_.clear();
}

void StreamListeners::listen(const std::vector<Listener>& listeners) {
  const auto is_there = [&](std::uint32_t id) {
    return std::any_of(listeners.begin(), listeners.end(), [&](const Listener& one) { return one.id == id; });
  };
  std::erase_if(listeners_, [&](const auto& known) { return !is_there(known.first); });
  std::erase_if(openings_, [&](const auto& opening) {
    return !is_there(opening.second->listener()) && !opening.second->is_asking();
  });
  for (const Listener& listener : listeners) {
    if (listener.transport == Transport::udp || listeners_.contains(listener.id)) continue;
    Entry& entry = listeners_[listener.id];
    entry.listener = std::make_shared<const Listener>(listener);
    entry.acceptor = std::make_unique<StreamListener>(
        context_.loop, listener.fd, [this, &entry](Stream stream) { accept(entry, std::move(stream)); },
        [this](const Error& why) { events_.exhausted(why); });
  }
}

void StreamListeners::accept(const Entry& entry, Stream stream) {
  const std::shared_ptr<const Listener> listener = entry.listener;  // the entry may go meanwhile
  const StreamPeer peer = stream.peer();
  const bool is_unix = listener->transport == Transport::unix_stream;
  if (listener->proxy_protocol && !is_unix && !is_one_of(peer.source.address, listener->trusted_proxies))
    return refuse(peer, *listener, Refusal::proxy, "it is none of trusted_proxies");
  if (sends_tokens_in_clear(*listener, peer.source.address))
    return refuse(peer, *listener, Refusal::proxy, "without TLS only trusted_proxies may bring tokens from elsewhere");
  const bool is_plain = !listener->proxy_protocol && !listener->tls && !listener->http_opening && !asked_;
  if (is_plain && !listener->needs_credential() && (!peer.uid || !listener->identity.empty())) {
    return events_.arrived(Arrival(listener, stream.take_socket(), peer, nullptr, {}, {}, listener->identity));
  }
  if (!make_place()) return refuse(peer, *listener, Refusal::too_many, "descriptors are short");
  if (openings_.empty()) context_.loop.schedule(deadline_, kLook);
  const auto opening = std::make_shared<Opening>(*this, listener, stream.take_socket(), peer);
  openings_.emplace(opening.get(), opening);
  sources_.add(*opening, peer.source.address, {});
  if (!opening->start()) opening->refuse(Refusal::system, "the system cannot watch it");
}

bool StreamListeners::make_place() {
  const std::size_t most = std::clamp(budget_.descriptors() / kOpeningsPart, kLeastOpenings, kMostOpenings);
  while (openings_.size() >= most) {
    SourceClient* const idlest = sources_.idlest();
    if (idlest == nullptr) return false;
    static_cast<Opening*>(idlest)->refuse(Refusal::too_many, "it made place for a newer one");
  }
  return true;
}

void StreamListeners::end_slow_ones() {
  const SteadyTime now = context_.loop.now();
  std::vector<std::shared_ptr<Opening>> slow;  // ending one may end others, by what their frontend does
  for (const auto& [at, opening] : openings_)
    if (opening->last_active <= now - opening->patience()) slow.push_back(opening);
  for (const auto& opening : slow) opening->end_as_slow();
  if (!openings_.empty()) context_.loop.schedule(deadline_, kLook);
}

bool StreamListeners::TurnCount::take(SteadyTime turn, unsigned most) noexcept {
  if (std::exchange(turn_, turn) != turn) count_ = 0;
  return ++count_ <= most;
}

const std::shared_ptr<TlsBuffers>& StreamListeners::buffers() {
  if (!buffers_) buffers_ = std::make_shared<TlsBuffers>();
  return buffers_;
}

void StreamListeners::adopt(Arrival& arrival) {
  if (arrival.layer_) arrival.layer_->move_to_lane(buffers());
}

std::shared_ptr<const TlsContext> StreamListeners::tls_of(std::uint32_t listener) {
  Entry& entry = listeners_.at(listener);
  if (const std::uint64_t newest = certificates_.generation(); std::exchange(entry.seen_generation, newest) != newest) {
    try {
      const auto certificate = certificates_.get(listener);
      if (certificate && std::exchange(entry.tls_generation, certificate->generation) != certificate->generation)
        entry.tls = std::make_shared<const TlsContext>(settings_of(*certificate, *entry.listener), buffers());
    } catch (const std::exception& error) {  // the one before goes on
      context_.host.log().error("a certificate cannot be used",
                                {{"listener", entry.listener->name}, {"why", error.what()}});
    }
  }
  return entry.tls;
}

void StreamListeners::refuse(const StreamPeer& peer, const Listener& listener, Refusal why, std::string_view detail) {
  counters_->refused[static_cast<std::size_t>(why)].add();
  if (why == Refusal::too_many) budget_.ran_short(Resource::descriptors);
  connections_.info(peer.source.address, "stream refused",
                    {{"client", peer.to_string()}, {"listener", listener.name}, {"why", detail}});
}

}  // namespace gatehouse