#include "plugins/socks5/server/association.hpp"

#include "plugins/socks5/server/lane.hpp"

#include <gatehouse/base/domain.hpp>

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>

namespace gatehouse::socks5 {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kMostBatches = 4;     // of one association in one turn
constexpr std::uint64_t kUsualFlows = 256;  // where no traffic rule says
constexpr std::uint64_t kMostFlows = 4096;  // whatever the rules say
constexpr Nanoseconds kUsualIdle = 300s;    // of a flow where no traffic rule says (RFC 4787, REQ-5)
constexpr std::size_t kMostNames = 64;      // of one association
constexpr std::size_t kMostWaiting = 8;     // datagrams for one name
constexpr std::ptrdiff_t kMostLookUps = 4;  // at once
constexpr std::size_t kWaitingPart = 16;    // of the lane's memory, for all datagrams that wait for names
constexpr Nanoseconds kNameHolds = 60s;
constexpr int kReceiveBuffer = 1 << 20;
constexpr std::size_t kLargestPayload = 65507;  // of IPv4
constexpr std::uint8_t kHeadersV4 = 28, kHeadersV6 = 48;

/// A socket bound to `local`, to any port; of any family where its address has none.
Result<UniqueFd> bind_socket(const IpAddress& local) {
  const auto open = [](int family) { return UniqueFd(::socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)); };
  UniqueFd out = open(local.is_v4() ? AF_INET : AF_INET6);
  if (!out && local.family() == Family::none) out = open(AF_INET);  // a host without IPv6
  if (!out) return last_system_error();
  const int off = 0;
  ::setsockopt(out.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  ::setsockopt(out.get(), SOL_SOCKET, SO_RCVBUF, &kReceiveBuffer, sizeof kReceiveBuffer);
  if (local.family() == Family::none) return out;  // the kernel binds it with the first datagram
  sockaddr_storage address{};
  const socklen_t size = Endpoint{local, 0}.to_sockaddr(address);
  if (::bind(out.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0) return last_system_error();
  return out;
}

Endpoint local_of(int socket) noexcept {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  return ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) == 0 ? Endpoint::from_sockaddr(address)
                                                                                  : Endpoint{};
}

}  // namespace

Association::Association(Socks5Lane& lane, const PolicyClient& policy, Session& session, const std::string& identity,
                         SteadyTime& active, std::function<void()> flows_changed)
    : lane_(lane),
      policy_(policy),
      session_(session),
      identity_(identity),
      active_(active),
      flows_changed_(std::move(flows_changed)),
      limits_(policy.limits()) {
  lane_.counters.associations.add();
}

Association::~Association() {
  for (Socket* const socket : {&inner_, &outer_})
    if (socket->fd) lane_.loop().poller().remove(socket->fd.get(), *socket);
  for (std::size_t left = flows_.size(); left != 0; --left) policy_.close_flow();
  for (const auto& [text, name] : names_) lane_.counters.drop(Drop::unresolved, name->waiting.size());
  lane_.name_bytes -= waiting_bytes_;
  lane_.counters.associations.sub();
}

Result<Endpoint> Association::open(const Endpoint& client, IpAddress local) {
  client_ = client;
  if (local.family() == Family::none)
    local = client.address.is_v4() ? IpAddress::v4(0) : IpAddress::v6(IpAddress().storage());
  auto inner = bind_socket(local);
  if (!inner) return inner.error();
  auto outer = bind_socket({});
  if (!outer) return outer.error();
  inner_.fd = std::move(*inner);
  outer_.fd = std::move(*outer);
  for (Socket* const socket : {&inner_, &outer_})
    if (const Error failure = watch(*socket)) return failure;
  return local_of(inner_.fd.get());
}

Error Association::watch(Socket& socket) {
  const auto added = lane_.loop().poller().add(socket.fd.get(), EPOLLIN, socket);
  if (added) return {};
  socket.fd.reset();
  return added.error();
}

// ---- up

void Association::from_client() {
  for (std::size_t i = 0; i < kMostBatches; ++i) {
    const auto datagrams = lane_.batch.receive(inner_.fd.get());
    for (const DatagramBatch::Received& one : datagrams) {
      if (!is_from_client(one.from))
        lane_.counters.drop(Drop::foreign);
      else if (!one.is_whole)
        lane_.counters.drop(Drop::oversize);
      else
        take(one.payload, one.from.port);
    }
    flush_up();
    if (datagrams.size() < DatagramBatch::kMost) return;
  }
}

bool Association::is_from_client(const Endpoint& from) const noexcept {
  return from.address == client_.address && (client_.port == 0 || from.port == client_.port);
}

/// The first one with a header tells the port, where the client has not.
void Association::take(MutableBytes datagram, std::uint16_t port) {
  const auto message = read_udp_message(datagram);
  if (!message) return lane_.counters.drop(Drop::malformed);
  if (client_.port == 0) client_.port = port;
  if (message->fragment != 0) return lane_.counters.drop(Drop::fragment);
  const Destination& to = message->destination;
  if (!to.name.empty()) return take_named(to.name, to.endpoint.port, message->payload);
  send_to({to.endpoint.address.unmapped(), to.endpoint.port}, {}, message->payload);
}

void Association::take_named(std::string_view text, std::uint16_t port, Bytes payload) {
  const auto name = canonical_domain(text);
  if (!name) return lane_.counters.drop(Drop::malformed);
  const auto found = names_.find(*name);
  Name* known = found == names_.end() ? nullptr : found->second.get();
  const bool is_asked = known != nullptr && known->is_waiting();
  const bool is_fresh =
      known != nullptr && !is_asked && lane_.now() < known->until && known->generation == lane_.generation();
  if (is_fresh) return send_named(*known, port, payload);
  const Endpoint resolver = lane_.resolver.in_turn();
  const FlowFacts question{.destination = resolver, .to_resolver = true, .domain = *name};
  if (const Verdict verdict = policy_.check(question); !verdict.allowed) return refuse(question, verdict, {});
  if (!may_wait(payload.size()) || (is_asked && known->waiting.size() >= kMostWaiting))
    return lane_.counters.drop(Drop::unresolved);
  if (!is_asked) {
    const auto is_waiting = [](const auto& one) { return one.second->is_waiting(); };
    if (std::count_if(names_.begin(), names_.end(), is_waiting) >= kMostLookUps)
      return lane_.counters.drop(Drop::unresolved);
    auto fresh = known == nullptr ? std::make_unique<Name>(*this, *name) : nullptr;
    if (fresh) known = fresh.get();
    if (!lane_.resolver.resolve(known->name, client_.address, identity_, *known))
      return lane_.counters.drop(Drop::unresolved);
    if (fresh) remember(std::move(fresh));
  }
  known->waiting.push_back({port, {payload.begin(), payload.end()}});
  waiting_bytes_ += payload.size();
  lane_.name_bytes += payload.size();
}

/// No more than all others leave free: so many associations can never have all, whoever comes next finds some.
bool Association::may_wait(std::size_t bytes) const noexcept {
  const std::size_t most = lane_.memory.size() / kWaitingPart;
  return lane_.name_bytes < most && waiting_bytes_ + bytes <= most - lane_.name_bytes;
}

/// In place of the one that was looked up longest ago, where there are many; never of one that is being looked up, for
/// its datagrams would go with it.
void Association::remember(std::unique_ptr<Name> name) {
  if (names_.size() >= kMostNames) {
    const auto age = [](const auto& one) { return std::pair(one.second->is_waiting(), one.second->until); };
    const auto oldest =
        std::min_element(names_.begin(), names_.end(), [&](const auto& a, const auto& b) { return age(a) < age(b); });
    text_bytes_ -= oldest->first.size();
    names_.erase(oldest);
  }
  text_bytes_ += name->name.size();
  names_.emplace(name->name, std::move(name));
}

void Association::resolved(Name& name, const Addresses& addresses, const Replies& replies) {
  const Verdict verdict = judge_replies(policy_, replies);
  name.addresses = verdict.allowed ? addresses : Addresses{};
  name.generation = lane_.generation();
  name.until = lane_.now() + (name.addresses.count == 0 ? 1s : kNameHolds);
  const std::vector<Name::Waiting> waiting = std::exchange(name.waiting, {});
  for (const Name::Waiting& one : waiting) {
    waiting_bytes_ -= one.payload.size();
    lane_.name_bytes -= one.payload.size();
    if (verdict.allowed)
      send_named(name, one.port, one.payload);
    else
      refuse({.destination = replies.from, .to_resolver = true}, verdict, {});
  }
  flush_up();  // before their bytes go
}

/// To the first of its addresses that policy allows; what is sent to one without any is refused as by the last.
void Association::send_named(Name& name, std::uint16_t port, Bytes payload) {
  if (name.addresses.count == 0) return lane_.counters.drop(Drop::unresolved);
  for (const IpAddress& address : name.addresses.all()) {
    const Endpoint to{address, port};
    const bool is_last = &address == &name.addresses.all().back();
    if (is_last || flows_.find(to) || policy_.check({.destination = to, .domain = name.name}).allowed)
      return send_to(to, name.name, payload);
  }
}

void Association::send_to(const Endpoint& to, std::string_view name, Bytes payload) {
  if (payload.size() > kLargestPayload) return lane_.counters.drop(Drop::oversize);
  Flow* const flow = flow_to(to, name, payload);
  if (flow == nullptr || !may_charge(Direction::up, *flow, payload.size())) return;
  lane_.batch.queue(payload, to, lane_.settings().egress(to.address.family(), hash_value(client_.address)));
  if (lane_.batch.is_full()) flush_up();
}

/// The flow to there, judged as far as it has to be. Null: refused and counted.
Association::Flow* Association::flow_to(const Endpoint& to, std::string_view name, Bytes payload) {
  const auto found = flows_.find(to);
  const FlowFacts facts{.destination = to, .domain = found && name.empty() ? std::string_view(found->name) : name};
  if (found && !found->dns.queries && found->generation == lane_.generation()) {
    touch(found);
    return found.flow;
  }
  Verdict verdict = policy_.check(facts);
  const DnsLook dns = policy_.dns(facts);
  if (verdict.allowed && dns.queries) verdict = judge_datagram(policy_, {.destination = to}, payload);
  if (!verdict.allowed) {
    refuse(facts, verdict, payload);
    // A blocked name in a query is no verdict on the flow; a refused address or port is.
    if (found && verdict.reason != Reason::domain && verdict.reason != Reason::dns_malformed)
      close(found.handle.slot());
    return nullptr;
  }
  if (!found) return open_flow(facts);
  found->generation = lane_.generation();
  found->dns = dns;
  touch(found);
  return found.flow;
}

Association::Flow* Association::open_flow(const FlowFacts& facts) {
  const std::uint64_t asked = limits_.concurrent_flows.value_or(kUsualFlows);
  const std::uint64_t most = asked == 0 ? kMostFlows : std::min(asked, kMostFlows);
  while (flows_.size() >= most) recycle();
  using Try = PolicyClient::Try;
  auto opened = policy_.open_flow(facts, lane_.now(), Try::first);
  if (!opened && opened.error().reason == Reason::concurrent_flows) {
    recycle();  // another client may have the same limit: then it is refused
    opened = policy_.open_flow(facts, lane_.now(), Try::last);
  }
  if (!opened) {
    lane_.counters.drop(opened.error().reason == Reason::quota ? Drop::quota : Drop::flow_limit);
    lane_.counters.refuse_flow(opened.error());
    return nullptr;
  }
  const auto [found, is_new] = flows_.insert(facts.destination);
  found->generation = lane_.generation();
  found->name = facts.domain;
  text_bytes_ += found->name.size();
  found->dns = policy_.dns(facts);
  found->headers = facts.destination.address.is_v6() ? kHeadersV6 : kHeadersV4;
  touch(found);
  flows_changed_();
  return found.flow;
}

bool Association::may_charge(Direction direction, const Flow& flow, std::size_t payload) {
  if (!limits_.metered) return true;
  const std::size_t cost = payload + flow.headers;
  const Grant grant = policy_.charge(direction, 1, cost, cost, lane_.now());
  if (grant.bytes == cost) return true;
  lane_.counters.drop(grant.wait == UINT64_MAX ? Drop::quota : Drop::rate);
  return false;
}

void Association::refuse(const FlowFacts& facts, const Verdict& verdict, Bytes payload) {
  lane_.counters.drop(Drop::denied);
  lane_.counters.deny(verdict);
  if (verdict.reason == Reason::domain && policy_.dns(facts).queries) answer_blocked(facts.destination, payload);
}

/// False: it leads to a name that policy blocks, or cannot be read; the client has been told.
bool Association::allows_answer(const Endpoint& from, Bytes answer) {
  const FlowFacts facts{.destination = from};
  const Verdict verdict = judge_answer(policy_, facts, answer);
  if (!verdict.allowed) refuse(facts, verdict, answer);
  return verdict.allowed;
}

/// @param message  the query, or the answer that is kept from the client
void Association::answer_blocked(const Endpoint& from, Bytes message) {
  if (client_.port == 0) return;
  std::array<std::byte, 4096> out;
  const std::size_t header = udp_header_size(from.address.family());
  write_udp_header(out, from);
  const std::size_t size = lane_.settings().blocked_answer.write(message, MutableBytes(out).subspan(header));
  if (size == 0) return;
  sockaddr_storage address{};
  const socklen_t length = client_.to_sockaddr(address);
  ::sendto(inner_.fd.get(), out.data(), header + size, MSG_DONTWAIT, reinterpret_cast<const sockaddr*>(&address),
           length);
  lane_.counters.blocked_answers.add();
}

void Association::flush_up() {
  const DatagramBatch::Sent sent = lane_.batch.flush(outer_.fd.get());
  lane_.counters.drop(Drop::send_failed, sent.refused);
  if (sent.datagrams == 0) return;
  active_ = lane_.now();
  lane_.counters.datagrams_up.add(sent.datagrams);
  lane_.counters.bytes_up.add(sent.bytes);
  session_.count_up(sent.datagrams, sent.bytes);
}

// ---- down

void Association::from_outside() {
  for (std::size_t i = 0; i < kMostBatches; ++i) {
    const auto datagrams = lane_.batch.receive(outer_.fd.get());
    for (const DatagramBatch::Received& one : datagrams) {
      const auto flow = flows_.find(one.from);
      const std::size_t header = udp_header_size(one.from.address.family());
      if (!flow) {
        lane_.counters.drop(Drop::unsolicited);
      } else if (!one.is_whole || one.payload.size() + header > kLargestPayload) {
        lane_.counters.drop(Drop::oversize);
      } else if (may_charge(Direction::down, *flow, one.payload.size())) {  // before it is judged, which costs more
        touch(flow);
        if (flow->dns.answers && !allows_answer(one.from, one.payload)) continue;
        const MutableBytes whole(one.payload.data() - header, one.payload.size() + header);  // in the headroom
        write_udp_header(whole, one.from);
        lane_.batch.queue(whole, client_);
        payload_down_ += one.payload.size();
      }
    }
    flush_down();
    if (datagrams.size() < DatagramBatch::kMost) return;
  }
}

void Association::flush_down() {
  const DatagramBatch::Sent sent = lane_.batch.flush(inner_.fd.get());
  lane_.counters.drop(Drop::send_failed, sent.refused);
  const std::uint64_t bytes = sent.refused == 0 ? payload_down_ : std::min<std::uint64_t>(payload_down_, sent.bytes);
  payload_down_ = 0;
  if (sent.datagrams == 0) return;
  active_ = lane_.now();
  lane_.counters.datagrams_down.add(sent.datagrams);
  lane_.counters.bytes_down.add(bytes);
  session_.count_down(sent.datagrams, bytes);
}

// ---- flows

void Association::touch(Flows::Found flow) {
  flow->last_used = lane_.now();
  recency_.touch(flow.handle.slot(), [this](std::uint32_t slot) -> LruLink& { return flows_[slot].lru; });
}

void Association::close(std::uint32_t slot) {
  recency_.remove(slot, [this](std::uint32_t at) -> LruLink& { return flows_[at].lru; });
  text_bytes_ -= flows_[slot].name.size();
  flows_.erase(flows_.handle_at(slot));
  policy_.close_flow();
  flows_changed_();
}

bool Association::recycle() {
  if (recency_.empty()) return false;
  lane_.counters.flows_recycled.add();
  close(recency_.oldest());
  return true;
}

void Association::policy_changed() {
  flows_.for_each([this](SlotHandle handle, const Endpoint& to, Flow& flow) {
    const FlowFacts facts{.destination = to, .domain = flow.name};
    if (!policy_.check(facts).allowed) return close(handle.slot());
    flow.generation = lane_.generation();
    flow.dns = policy_.dns(facts);
  });
}

void Association::look_at_clock(SteadyTime now) {
  const Nanoseconds idle = limits_.udp_idle.value_or(kUsualIdle);
  if (idle == 0ns) return;
  while (!recency_.empty() && now - flows_[recency_.oldest()].last_used >= idle) close(recency_.oldest());
}

}  // namespace gatehouse::socks5
