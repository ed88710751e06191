// A session's flows: which packet belongs to which, who may open one, and when it ends.
#include "plugins/packet-tunnel/server/lane.hpp"

#include <gatehouse/base/endian.hpp>

#include <algorithm>

namespace gatehouse::packet_tunnel {
namespace {

constexpr std::uint64_t kUsualFlows = 4096;                       // of a session, where no traffic rule says
constexpr std::size_t kMostFlows = 256 * 1024;                    // of a lane: 30 MB
constexpr std::size_t kTcpSequence = 4, kTcpAcknowledgement = 8;  // in its header
constexpr std::uint8_t kFromClient = 1, kFromRemote = 2, kBoth = 3;

std::uint32_t tcp_sequence(const IpPacket& facts, Bytes packet) noexcept {
  return load_big<std::uint32_t>(packet.subspan(facts.transport + kTcpSequence));
}

}  // namespace

/// Of a packet with its transport header; an ICMP error has none.
FlowKey TunnelSession::key_of(const IpPacket& facts, Bytes packet, Direction direction) const noexcept {
  const bool is_up = direction == Direction::up;
  FlowKey key;
  const Bytes remote = is_up ? facts.destination(packet) : facts.source(packet);
  std::ranges::copy(remote, key.remote.begin());
  key.index = facts_.index;
  key.protocol = facts.protocol;
  key.version = facts.version;
  if (facts.is_icmp()) {
    key.client_port = facts.icmp_id;
  } else {
    key.remote_port = is_up ? facts.destination_port : facts.source_port;
    key.client_port = is_up ? facts.source_port : facts.destination_port;
  }
  return key;
}

FlowFacts TunnelSession::flow_facts(const FlowKey& key, bool is_transparent) const noexcept {
  return {.destination = {key.remote_address(), key.remote_port, 0},
          .protocol = static_cast<Protocol>(key.protocol),
          .to_resolver = is_transparent};
}

/// @param packet  whole, of the client
/// @param as      what to count it as, where it is refused
Verdict TunnelSession::judge(const FlowKey& key, const IpPacket& facts, Bytes packet, bool is_transparent,
                             Reject& as) const noexcept {
  const FlowFacts flow = flow_facts(key, is_transparent);
  if (!is_transparent) {
    const IpAddress& remote = flow.destination.address;
    const TunnelPrefixes& own = lane_.prefixes();
    if (remote.is_v4() ? own.v4().contains(remote) : own.v6() && own.v6()->contains(remote)) {
      as = Reject::invalid_destination_address;  // another client, or the gateway: no row opens that
      return {.reason = Reason::hard_deny};
    }
  }
  Verdict verdict;
  const bool is_dns = (facts.is_udp() || facts.is_tcp()) && policy_->dns(flow).queries;
  if (!is_dns || packet.empty()) {
    verdict = policy_->check(flow);
  } else if (facts.is_udp()) {
    verdict = judge_datagram(*policy_, flow, packet.subspan(facts.payload));
  } else {
    // Each segment has to hold whole messages, each behind its length (RFC 1035, 4.2.2), or names could be cut in two.
    Bytes rest = packet.subspan(facts.payload);
    verdict = policy_->check(flow);
    while (verdict.allowed && !rest.empty()) {
      const std::size_t size = rest.size() < 2 ? SIZE_MAX : load_big<std::uint16_t>(rest);
      const bool is_whole = size <= rest.size() - std::min<std::size_t>(rest.size(), 2);
      verdict = judge_datagram(*policy_, flow, is_whole ? rest.subspan(2, size) : Bytes());
      if (!verdict.allowed && !is_whole) {
        as = Reject::split_dns_message;
        return verdict;
      }
      if (!is_whole) break;
      rest = rest.subspan(2 + size);
    }
    // Of a segment in fragments only the first is looked into, and what lies over another one is not taken as it
    // stands.
    const bool is_in_place = facts.payload_size() == 0 || fits_dns_stream(key, facts, packet);
    if (verdict.allowed && (facts.is_fragment || !is_in_place)) {
      verdict = judge_datagram(*policy_, flow, {});
      if (!verdict.allowed) as = Reject::split_dns_message;
      if (!verdict.allowed) return verdict;
    }
  }
  if (!verdict.allowed) as = reject_of(verdict.reason, key.protocol);
  return verdict;
}

bool TunnelSession::fits_dns_stream(const FlowKey& key, const IpPacket& facts, Bytes packet) const noexcept {
  const auto flow = lane_.flows.find(key);
  return flow && (facts.tcp_flags & kTcpSyn) == 0 && flow->dns.fits(tcp_sequence(facts, packet), facts.payload_size());
}

/// The flow that an upstream packet may go by; null: it has been refused, and answered.
TunnelFlow* TunnelSession::admit_up(const FlowKey& key, const GatheredPacket& packet, bool is_transparent) noexcept {
  const auto found = lane_.flows.find(key);
  if (!found || found->generation != lane_.generation() || found->look.queries) {
    Reject as = Reject::count;
    const bool is_single = packet.payload.empty();
    const Verdict verdict = judge(key, packet.facts, is_single ? Bytes(packet.headers) : Bytes(), is_transparent, as);
    if (!verdict.allowed) {
      // A blocked name is no verdict on a flow of datagrams; a refused address or port is, and TCP ends with its RST.
      if (found && (packet.facts.is_tcp() || (as != Reject::disallowed_domain && as != Reject::invalid_dns_message)))
        close_flow(*found);
      reject(Direction::up, as, packet.packets);
      answer_denied(packet.headers, packet.facts, as);
      return nullptr;
    }
  }
  TunnelFlow* flow = found.flow;
  if (flow == nullptr) {
    Verdict refused;
    flow = open_flow(key, is_transparent, refused);
    if (flow == nullptr) {
      const Reject as = reject_of(refused.reason, key.protocol);
      reject(Direction::up, as, packet.packets);
      answer_denied(packet.headers, packet.facts, as);
      return nullptr;
    }
    remember_client(packet.facts.source_address(packet.headers));
  }
  settle(*flow, key, is_transparent);
  see(*flow, packet.facts, Direction::up);
  if (flow->look.queries && packet.facts.is_tcp()) {
    if ((packet.facts.tcp_flags & kTcpSyn) != 0) flow->dns.see_syn();
    if (packet.facts.payload_size() != 0)
      flow->dns.see(tcp_sequence(packet.facts, packet.headers), packet.facts.payload_size());
  }
  return flow;
}

/// The flow that a packet for the client belongs to; one that is not tracked may begin here, as after a restart.
TunnelFlow* TunnelSession::admit_down(const FlowKey& key, const IpPacket& facts, Bytes packet) {
  auto found = lane_.flows.find(key);
  if (!found || found->generation != lane_.generation()) {
    const bool is_transparent = found && found->is_transparent;
    Reject as = Reject::count;
    Verdict verdict = judge(key, facts, {}, is_transparent, as);
    bool is_answer = is_transparent;
    if (!verdict.allowed && !found && key.remote_port == kDnsPort) {
      // Perhaps a resolver's answer to a query that was asked before a restart.
      const auto& resolvers = resolvers_.of(key.version);
      is_answer = std::ranges::find(resolvers, key.remote_address()) != resolvers.end();
      if (is_answer) verdict = judge(key, facts, {}, true, as);
    }
    if (!verdict.allowed) {
      if (found) close_flow(*found);
      reject(Direction::down, as);
      return nullptr;
    }
    if (!found) {
      Verdict refused;
      if (open_flow(key, is_answer, refused) == nullptr) {
        reject(Direction::down, reject_of(refused.reason, key.protocol));
        return nullptr;
      }
      found = lane_.flows.find(key);
    }
    settle(*found, key, found->is_transparent);
  }
  see(*found, facts, Direction::down);
  if (found->look.queries && facts.is_tcp() && (facts.tcp_flags & kTcpSyn) != 0 && (facts.tcp_flags & kTcpAck) != 0)
    found->dns.see_answer(load_big<std::uint32_t>(packet.subspan(facts.transport + kTcpAcknowledgement)));
  return found.flow;
}

TunnelFlow* TunnelSession::open_flow(const FlowKey& key, bool is_transparent, Verdict& refused) noexcept {
  const std::uint64_t most = limits_.concurrent_flows.value_or(kUsualFlows);
  const FlowFacts facts = flow_facts(key, is_transparent);
  const auto make_place = [&] {
    bool made = false;
    while (most != 0 && flows() >= most) made = recycle_flow();
    return made;
  };
  using Try = PolicyClient::Try;
  for (Try which = Try::first;; which = Try::last) {
    const auto opened = policy_->open_flow(facts, lane_.now(), which);
    if (opened) break;
    if (which == Try::first && opened.error().reason == Reason::concurrent_flows) {
      if (!make_place()) recycle_flow();
      continue;
    }
    refused = opened.error();
    return nullptr;
  }
  make_place();  // where no rule says
  if (lane_.flows.size() >= kMostFlows) {
    auto* const busiest = static_cast<TunnelSession*>(lane_.sources.busiest());
    if (busiest != nullptr) busiest->recycle_flow();
  }
  try {
    const auto [found, inserted] = lane_.flows.insert(key, *this);
    found->slot = found.handle.slot();
    found->is_transparent = is_transparent;
    found->look = policy_->dns(facts);
    lane_.counters.flows.add();
    lane_.sources.set_flows(*this, flows() + 1);
    return found.flow;
  } catch (const std::bad_alloc&) {
    policy_->close_flow();
    refused = {.reason = Reason::concurrent_flows};
    return nullptr;
  }
}

/// It is allowed in the lane's generation.
void TunnelSession::settle(TunnelFlow& flow, const FlowKey& key, bool is_transparent) noexcept {
  if (flow.generation == lane_.generation() && flow.is_transparent == is_transparent) return;
  flow.generation = lane_.generation();
  flow.is_transparent = is_transparent;
  flow.look = policy_->dns(flow_facts(key, is_transparent));
}

/// Notes what a packet says of its flow, and that it lives.
void TunnelSession::see(TunnelFlow& flow, const IpPacket& facts, Direction direction) noexcept {
  const auto links = [this](std::uint32_t at) -> LruLink& { return link(at); };
  FlowList in = flow.list;
  const bool is_new = flow.last_used == SteadyTime{};
  if (facts.is_tcp()) {
    if ((facts.tcp_flags & kTcpSyn) != 0) flow.ended = 0;
    if ((facts.tcp_flags & kTcpFin) != 0) flow.ended |= direction == Direction::up ? kFromClient : kFromRemote;
    if ((facts.tcp_flags & kTcpRst) != 0) flow.ended = kBoth;
    in = flow.ended == kBoth ? FlowList::closing : FlowList::tcp;
  }
  if (!is_new && in == flow.list && flow.last_used == lane_.now()) return;
  if (!is_new && in != flow.list) list(flow.list).remove(flow.slot, links);
  flow.list = in;
  flow.last_used = lane_.now();
  list(in).touch(flow.slot, links);
}

std::size_t TunnelSession::flows() const noexcept {
  std::size_t all = 0;
  for (const Lru& one : lists_) all += one.size();
  return all;
}

LruLink& TunnelSession::link(std::uint32_t slot) const noexcept { return lane_.flows[slot].lru; }

void TunnelSession::close_flow(TunnelFlow& flow) {
  const std::uint32_t slot = flow.slot;
  list(flow.list).remove(slot, [this](std::uint32_t at) -> LruLink& { return link(at); });
  lane_.flows.erase(lane_.flows.handle_at(slot));
  if (policy_) policy_->close_flow();
  lane_.counters.flows.sub();
  lane_.sources.set_flows(*this, flows());
  has_news_ = true;
}

bool TunnelSession::recycle_flow() {
  TunnelFlow* quietest = nullptr;
  for (const Lru& one : lists_) {
    if (one.empty()) continue;
    TunnelFlow& oldest = lane_.flows[one.oldest()];
    if (quietest == nullptr || oldest.last_used < quietest->last_used) quietest = &oldest;
  }
  if (quietest == nullptr) return false;
  lane_.counters.flows_recycled.add();
  close_flow(*quietest);
  return true;
}

void TunnelSession::close_flows() noexcept {
  for (const Lru& one : lists_)
    while (!one.empty()) close_flow(lane_.flows[one.oldest()]);
}

void TunnelSession::judge_again(const FlowKey& key, TunnelFlow& flow) {
  Reject as = Reject::count;
  IpPacket facts;
  facts.protocol = key.protocol;
  facts.version = key.version;
  if (judge(key, facts, {}, flow.is_transparent, as).allowed) {
    settle(flow, key, flow.is_transparent);
  } else {
    close_flow(flow);
  }
}

}  // namespace gatehouse::packet_tunnel
