// A client's forwards: opening, judging again, recycling, closing.
#include "plugins/udpgw/lane.hpp"

#include <cerrno>

namespace gatehouse::udpgw {
namespace {

constexpr std::uint64_t kUsualForwards = 256;  // where no traffic rule says, as badvpn
constexpr int kMostAttempts = 4;               // to win one socket

/// Would closing another socket help?
bool is_exhaustion(int error) noexcept {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM || error == EAGAIN ||
         error == EADDRINUSE;
}

/// The kernel's own memory is none of what a budget is for.
std::optional<Resource> resource_of(int error) noexcept {
  if (error == EADDRINUSE || error == EAGAIN) return Resource::ports;
  if (error == EMFILE || error == ENFILE) return Resource::descriptors;
  return {};
}

}  // namespace

void Forward::on_ready(std::uint32_t events) {
  if ((events & EPOLLOUT) != 0) return client.writable(*this);
  client.receive(*this);
}

Forward* Client::find(std::uint16_t conid) const noexcept {
  return lane_.forwards.find(forward_key(number_, conid)).flow;
}

LruLink& Client::link(std::uint32_t slot) const noexcept { return lane_.forwards[slot].lru; }

void Client::touch(Forward& forward) {
  if (forward.last_used == lane_.now()) return;
  forward.last_used = last_active = lane_.now();
  forwards_.touch(forward.slot, [this](std::uint32_t slot) -> LruLink& { return link(slot); });
}

FlowFacts Client::flow_of(const Forward& forward) const noexcept {
  if (forward.to_resolver) return {.destination = lane_.dns.endpoint(forward.resolver), .to_resolver = true};
  return {.destination = forward.remote()};
}

void Client::refuse(const Frame& frame, const Verdict& verdict) {
  lane_.counters.deny(verdict);
  if (verdict.reason == Reason::domain) answer_blocked(frame);
  log_refused(read_address(frame.address), verdict);
}

void Client::log_refused(const Endpoint& to, const Verdict& verdict) const {
  const Log& log = lane_.host().log();
  if (log.wants(LogLevel::debug))
    log.debug(
        "refused",
        {{"client", name_}, {"to", to.to_string()}, {"why", to_text(verdict.reason)}, {"row", row_text(verdict)}});
}

bool Client::admit_flow(const FlowFacts& flow, const Frame& frame) {
  const std::uint64_t most = limits_.concurrent_flows.value_or(kUsualForwards);
  const auto make_place = [&] {
    bool made = false;
    while (most != 0 && forwards_.size() >= most) made = recycle();
    return made;
  };
  using Try = PolicyClient::Try;
  for (Try which = Try::first;; which = Try::last) {
    const auto opened = policy_.open_flow(flow, lane_.now(), which);
    if (opened) {
      make_place();  // where no rule says, nobody else counts
      return true;
    }
    // Only against this limit helps it to close a forward; it may be one of another client with the same limit.
    if (which == Try::first && opened.error().reason == Reason::concurrent_flows) {
      if (!make_place() && !recycle()) lane_.recycle_beside(*this);
      continue;
    }
    lane_.counters.refuse_flow(opened.error());
    log_refused(read_address(frame.address), opened.error());
    return false;
  }
}

std::optional<IpAddress> Client::egress_for(const Endpoint& destination) const noexcept {
  const UdpgwSettings& settings = lane_.settings();
  const auto& egress = destination.address.is_v4() ? settings.egress_v4 : settings.egress_v6;
  if (egress.empty()) return {};
  return egress[(hash_value(destination) ^ number_) % egress.size()];
}

Result<UniqueFd> Client::connect(const Endpoint& destination) {
  lane_.make_place_for_forward();
  for (int attempt = 1;; ++attempt) {
    auto fd = lane_.connector.connect(destination, egress_for(destination));
    if (fd || !is_exhaustion(fd.error().value())) return fd;
    if (const auto resource = resource_of(fd.error().value())) lane_.budget.ran_short(*resource);
    if (attempt == kMostAttempts || !lane_.recycle()) return fd;
  }
}

bool Client::watch(Forward& forward) {
  return lane_.loop().poller().add(forward.fd.get(), EPOLLIN, forward).has_value();
}

Forward* Client::open_forward(const Frame& frame) {
  const bool dns = frame.has(kDns);
  const auto resolver = dns ? lane_.dns.choose() : std::optional<std::uint16_t>(0);
  if (!resolver) {
    lane_.counters.drop(Drop::no_resolver);
    return nullptr;
  }
  const Endpoint destination = dns ? lane_.dns.endpoint(*resolver) : read_address(frame.address);
  const FlowFacts flow{.destination = destination, .to_resolver = dns};
  const Verdict verdict = judge_datagram(policy_, flow, frame.payload);
  if (!verdict.allowed) {
    refuse(frame, verdict);
    return nullptr;
  }
  if (!admit_flow(flow, frame)) return nullptr;

  auto fd = connect(destination);
  if (!fd) {
    policy_.close_flow();
    lane_.counters.drop(is_exhaustion(fd.error().value()) ? Drop::no_socket : Drop::send_failed);
    return nullptr;
  }
  const auto [found, inserted] =
      lane_.forwards.insert(forward_key(number_, frame.conid), *this, frame.conid, frame.address);
  Forward& forward = *found;
  forward.slot = found.handle.slot();
  forward.fd = std::move(*fd);
  forward.generation = lane_.generation();
  forward.to_resolver = dns;
  forward.resolver = *resolver;
  forward.dns = policy_.dns(flow);
  lane_.counters.forwards.add();
  lane_.counters.forwards_opened.add();
  touch(forward);
  lane_.sources.set_flows(*this, forwards_.size());
  if (!watch(forward)) {  // the machine's limit on watched descriptors (fs.epoll.max_user_watches)
    lane_.counters.drop(Drop::no_socket);
    close_forward(forward);
    return nullptr;
  }
  return &forward;
}

void Client::close_forward(Forward& forward) {
  sender_.forget(forward);
  replies_.drop(forward.conid, forward.share);
  lane_.dns.forget(forward);
  forwards_.remove(forward.slot, [this](std::uint32_t slot) -> LruLink& { return link(slot); });
  lane_.sources.set_flows(*this, forwards_.size());
  lane_.loop().poller().forget(forward);
  policy_.close_flow();
  lane_.counters.forwards.sub();
  lane_.forwards.erase(lane_.forwards.handle_at(forward.slot));
}

bool Client::recycle() {
  if (forwards_.empty()) return false;
  lane_.counters.recycled.add();
  close_forward(lane_.forwards[forwards_.oldest()]);
  return true;
}

bool Client::judge_again(Forward& forward) {
  const Verdict verdict = policy_.check(flow_of(forward));
  if (verdict.allowed) {
    settle(forward);
    return true;
  }
  const Log& log = lane_.host().log();
  if (log.wants(LogLevel::debug))
    log.debug("forward cut by policy", {{"client", name_},
                                        {"to", forward.remote().to_string()},
                                        {"why", to_text(verdict.reason)},
                                        {"row", row_text(verdict)}});
  close_forward(forward);
  return false;
}

/// It is allowed in the lane's generation.
void Client::settle(Forward& forward) noexcept {
  if (forward.generation == lane_.generation()) return;
  forward.generation = lane_.generation();
  forward.dns = policy_.dns(flow_of(forward));
}

bool Client::move_to_resolver(Forward& forward, std::uint16_t resolver) {
  sender_.forget(forward);
  // The old socket goes first: its descriptor and port are there for the new one, so nothing has to be recycled.
  lane_.loop().poller().forget(forward);
  forward.fd.reset();
  forward.received = {};
  const Endpoint& destination = lane_.dns.endpoint(resolver);
  auto fd = lane_.connector.connect(destination, egress_for(destination));
  if (fd) forward.fd = std::move(*fd);
  if (!forward.fd || !watch(forward)) {
    close_forward(forward);
    return false;
  }
  forward.resolver = resolver;
  return true;
}

}  // namespace gatehouse::udpgw
