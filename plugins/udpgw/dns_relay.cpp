#include "plugins/udpgw/dns_relay.hpp"

#include "plugins/udpgw/client.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace gatehouse::udpgw {
namespace {

using namespace std::chrono_literals;

constexpr Nanoseconds kFailureHolds = 10s;
constexpr std::size_t kMostQueries = 4096;  // unanswered ones of a lane; beyond, they are passed on and not watched
constexpr std::size_t kMostOfForward = 16;
constexpr std::size_t kDnsId = 2;         // bytes
constexpr unsigned kMostUnanswered = 16;  // in a row; single ones may be the question's fault, not the resolver's

}  // namespace

DnsRelay::DnsRelay(const LaneContext& context, std::shared_ptr<const UdpgwSettings> settings)
    : context_(context), settings_(std::move(settings)) {
  use_settings();
}

void DnsRelay::configure(std::shared_ptr<const UdpgwSettings> settings) {
  settings_ = std::move(settings);
  use_settings();
}

void DnsRelay::use_settings() {
  in_order_.clear();
  for (Resolver& resolver : resolvers_) resolver.in_use = false;
  if (settings_->system_resolvers)
    for (const Endpoint& endpoint : resolv_conf_.nameservers(context_.loop.now())) in_order_.push_back(add(endpoint));
  resolv_conf_version_ = resolv_conf_.version();
  for (const Endpoint& endpoint : settings_->resolvers) in_order_.push_back(add(endpoint));
}

std::uint16_t DnsRelay::add(const Endpoint& endpoint) {
  const auto known = std::find_if(resolvers_.begin(), resolvers_.end(),
                                  [&](const Resolver& resolver) { return resolver.endpoint == endpoint; });
  const auto index = static_cast<std::uint16_t>(known - resolvers_.begin());
  if (known == resolvers_.end()) {
    const std::string text = endpoint.to_string();
    const Host& host = context_.host;
    Resolver resolver;
    resolver.endpoint = endpoint;
    resolver.queries = host.counter(context_.lane, "resolver_queries", "Queries sent.", {{"resolver", text}});
    resolver.failures =
        host.counter(context_.lane, "resolver_failures", "Queries without an answer in time.", {{"resolver", text}});
    resolver.round_trip =
        host.histogram(context_.lane, "resolver_round_trip_microseconds", "From query to answer.",
                       {250, 1000, 4000, 16000, 64000, 256000, 1000000, 4000000}, {{"resolver", text}});
    resolvers_.push_back(std::move(resolver));
  }
  resolvers_[index].in_use = true;
  return index;
}

std::optional<std::uint16_t> DnsRelay::choose(std::optional<std::uint16_t> but) {
  if (settings_->system_resolvers) {
    static_cast<void>(resolv_conf_.nameservers(context_.loop.now()));
    if (resolv_conf_.version() != resolv_conf_version_) use_settings();
  }
  if (in_order_.empty()) return {};
  const auto healthy = std::find_if(in_order_.begin(), in_order_.end(),
                                    [&](std::uint16_t index) { return index != but && !has_failed(index); });
  if (healthy != in_order_.end()) return *healthy;
  return *std::min_element(in_order_.begin(), in_order_.end(), [&](std::uint16_t a, std::uint16_t b) {
    return std::pair(a == but, resolvers_[a].failed_at) < std::pair(b == but, resolvers_[b].failed_at);
  });
}

bool DnsRelay::has_failed(std::uint16_t index) const noexcept {
  const Resolver& resolver = resolvers_[index];
  if (!resolver.in_use) return true;
  return resolver.failed_at != SteadyTime::min() && context_.loop.now() - resolver.failed_at < kFailureHolds;
}

void DnsRelay::asked(Forward& forward, Bytes query) {
  resolvers_[forward.resolver].queries.add();
  if (query.size() < kDnsId || queries_.size() >= kMostQueries) return;
  std::size_t open = 0;
  for (std::uint32_t slot = forward.query; slot != kNoSlot; slot = queries_[slot].next)
    if (++open == kMostOfForward) return;
  const SlotHandle handle = queries_.emplace(*this, forward);
  Query& entry = *queries_.at(handle);
  entry.sent_at = context_.loop.now();
  entry.id = load_big<std::uint16_t>(query);
  if (query.size() <= entry.payload.size()) {
    std::copy(query.begin(), query.end(), entry.payload.begin());
    entry.size = static_cast<std::uint16_t>(query.size());
  }
  entry.next = forward.query;
  forward.query = handle.slot();
  context_.loop.schedule(entry.timer, settings_->resolver_timeout);
}

void DnsRelay::answered(Forward& forward, Bytes reply) {
  Resolver& resolver = resolvers_[forward.resolver];
  resolver.heard_at = context_.loop.now();
  resolver.failed_at = SteadyTime::min();
  resolver.unanswered = 0;
  if (reply.size() < kDnsId) return;
  const auto id = load_big<std::uint16_t>(reply);
  // A client that repeats a query has several of one id, and a resolver may answer them once.
  for (std::uint32_t slot = forward.query; slot != kNoSlot;) {
    const Query& query = queries_[slot];
    const std::uint32_t older = query.next;
    if (query.id == id) {
      const auto round_trip = context_.loop.now() - query.sent_at;
      resolver.round_trip.record(static_cast<std::uint64_t>(round_trip / 1us));
      erase(forward, slot);
    }
    slot = older;
  }
}

/// It has failed if nothing at all has come from it since `asked`, or several in a row went unanswered: one question of
/// one client must not take it from all.
void DnsRelay::count_failure(Resolver& resolver, SteadyTime asked) noexcept {
  resolver.failures.add();
  if (resolver.heard_at < asked || ++resolver.unanswered >= kMostUnanswered) resolver.failed_at = context_.loop.now();
}

std::optional<std::uint16_t> DnsRelay::better_than(std::uint16_t resolver) {
  const auto next = choose(resolver);
  if (!next || *next == resolver || (has_failed(*next) && !has_failed(resolver))) return {};
  return next;
}

void DnsRelay::timed_out(Query& query) {
  Forward& forward = query.forward;
  count_failure(resolvers_[forward.resolver], query.sent_at);
  const auto better = better_than(forward.resolver);
  if (!query.asked_twice && query.size != 0 && better) return fail_over(forward, *better);
  for (std::uint32_t slot = forward.query; slot != kNoSlot; slot = queries_[slot].next)
    if (&queries_[slot] == &query) return erase(forward, slot);
}

void DnsRelay::refused(Forward& forward) {
  SteadyTime oldest = SteadyTime::min();
  for (std::uint32_t slot = forward.query; slot != kNoSlot; slot = queries_[slot].next) oldest = queries_[slot].sent_at;
  count_failure(resolvers_[forward.resolver], oldest);
  const auto better = better_than(forward.resolver);
  if (forward.query != kNoSlot && better) return fail_over(forward, *better);
  forget(forward);
}

void DnsRelay::fail_over(Forward& forward, std::uint16_t next) {
  if (!forward.client.move_to_resolver(forward, next)) return;
  for (std::uint32_t slot = forward.query; slot != kNoSlot;) {
    Query& query = queries_[slot];
    const std::uint32_t older = query.next;
    if (query.asked_twice || query.size == 0)
      erase(forward, slot);
    else
      send_again(query);
    slot = older;
  }
}

void DnsRelay::send_again(Query& query) {
  query.asked_twice = true;
  query.sent_at = context_.loop.now();
  resolvers_[query.forward.resolver].queries.add();
  send(query.forward.fd.get(), query.payload.data(), query.size, MSG_NOSIGNAL);
  context_.loop.schedule(query.timer, settings_->resolver_timeout);
}

void DnsRelay::erase(Forward& forward, std::uint32_t slot) noexcept {
  std::uint32_t* link = &forward.query;
  while (*link != slot) link = &queries_[*link].next;
  *link = queries_[slot].next;
  queries_.erase(queries_.handle_at(slot));
}

void DnsRelay::forget(Forward& forward) noexcept {
  while (forward.query != kNoSlot) erase(forward, forward.query);
}

}  // namespace gatehouse::udpgw
