// From a datagram to the other client:
//   1. receive():  a batch of one socket; split(): what came coalesced, into runs of one header each
//   2. take():     what it is, whose; the lane that owns the endpoint goes on
//   3. relay():    data: the other leg, the asker's traffic rules, that leg's socket and local address
//      take_control(): a handshake, within the bounds of its source and of the lane; bind(): policy
//   4. flush():    all that was queued leaves, at the end of the batch
#include "plugins/geneve-relay/relay/datagram.hpp"
#include "plugins/geneve-relay/server/lane.hpp"

#include <algorithm>
#include <cstring>

namespace gatehouse::geneve_relay {
namespace {

constexpr std::uint64_t kLegsOfLane = 100;  // false handshakes in one client's name cost that part of the lane's
constexpr std::uint64_t kUdpHeaders4 = 28, kUdpHeaders6 = 48;  // IP and UDP, as rates and quotas count them

bool same_header(Bytes left, Bytes right) noexcept {
  return right.size() >= kGeneveHeaderSize && std::memcmp(left.data(), right.data(), kGeneveHeaderSize) == 0;
}

/// How many bytes of `rest` are datagrams with the header of the first.
std::size_t run_length(Bytes rest, std::size_t segment) noexcept {
  if (rest.size() < kGeneveHeaderSize) return rest.size();
  std::size_t length = std::min(segment, rest.size());
  while (length < rest.size() && same_header(rest, rest.subspan(length)))
    length += std::min(segment, rest.size() - length);
  return length;
}

/// A public key is no secret: what others send in a client's name does not open, and is not charged to the client.
bool has_opened(const OrDrop<ControlEffect>& effect) noexcept {
  return effect || (effect.error() != Drop::box && effect.error() != Drop::long_message);
}

}  // namespace

void RelayLane::receive(RelaySocket& socket, std::span<Datagram> datagrams) {
  secrets_.look_at_clock(now());
  for (const Datagram& datagram : datagrams) split(datagram, socket, false);
  flush();
}

void RelayLane::receive_stray(StrayRun&& run) {
  RelaySocket* const socket = socket_of(run.from().local, run.from().local_port);
  if (socket == nullptr) return counters_.drop(Drop::no_socket);
  Datagram datagram;
  datagram.payload = run.payload();
  datagram.remote = run.from().remote;
  datagram.local = run.from().local;
  datagram.segment = run.segment();
  split(datagram, *socket, true);
  flush();
}

void RelayLane::split(const Datagram& datagram, RelaySocket& socket, bool is_stray) {
  MutableBytes rest = datagram.payload;
  const std::size_t segment = datagram.segment == 0 ? rest.size() : datagram.segment;
  do {
    const std::size_t length = run_length(rest, segment);
    const std::uint64_t packets = length <= segment ? 1 : (length + segment - 1) / segment;
    take({rest.first(length),
          std::min(segment, length),
          packets,
          {datagram.remote, datagram.local, socket.port()},
          &socket,
          is_stray});
    rest = rest.subspan(length);
  } while (!rest.empty());
}

void RelayLane::take(const Run& run) {
  if (run.segment < kGeneveHeaderSize) return counters_.drop(Drop::short_header, run.packets);
  switch (kind_of(run.payload)) {
    case DatagramKind::stun: return take_stun(run);
    case DatagramKind::disco: return take_sealed(run);
    default: break;
  }
  const auto header = relay_header(run.payload);
  if (!header) return counters_.drop(header.error(), run.packets);
  const auto found = find(header->vni);
  if (!found) return hand_over(run, header->vni);
  if (!found->session.is_mine()) {  // somebody has ended it
    counters_.drop(Drop::ended, run.packets);
    return remove(found, false);
  }
  if (!header->control) return relay(*found, run);
  for (MutableBytes rest = run.payload; !rest.empty();) {
    const std::size_t size = std::min(run.segment, rest.size());
    take_control(*found, *header, rest.first(size), run);
    rest = rest.subspan(size);
  }
}

void RelayLane::take_stun(const Run& run) {
  counters_.stun.add(run.packets);
  shared_.addresses().take_stun(run.payload.first(run.segment), run.from.remote);
}

void RelayLane::take_sealed(const Run& run) {
  counters_.sealed.add(run.packets);
  for (Bytes rest = run.payload; !rest.empty();) {
    const std::size_t size = std::min(run.segment, rest.size());
    sealed_.take(rest.first(size), run.from, run.socket->listener());
    rest = rest.subspan(size);
  }
}

/// To the lane whose endpoint it is. What is for nobody's VNI costs that lane nothing.
void RelayLane::hand_over(const Run& run, std::uint32_t vni) {
  const std::uint32_t owner = lane_of(vni, context_.lane->count);
  if (owner == context_.lane->index || run.is_stray || !shared_.vnis().has(vni))
    return counters_.drop(Drop::unknown_vni, run.packets);
  const std::size_t part = run.segment > StrayRun::kMost ? 0 : StrayRun::kMost / run.segment * run.segment;
  if (part == 0) return counters_.drop(Drop::other_lane, run.packets);
  for (MutableBytes rest = run.payload; !rest.empty();) {
    const std::size_t size = std::min(part, rest.size());
    const std::uint64_t packets = (size + run.segment - 1) / run.segment;
    StrayRun stray(rest.first(size), run.from, static_cast<std::uint16_t>(run.segment));
    if (shared_.inbox(owner).strays.try_send(std::move(stray))) {
      counters_.handed_over.add(packets);
    } else {
      counters_.drop(Drop::other_lane, packets);
    }
    rest = rest.subspan(size);
  }
}

void RelayLane::relay(RelayEntry& entry, const Run& run) {
  RelayEndpoint& endpoint = entry.endpoint;
  const auto leg = endpoint.route(run.from.remote, run.from.local, now());
  if (!leg) {
    counters_.drop(leg.error(), run.packets);
    return entry.tell_state();
  }
  RelaySocket* const socket = entry.sockets[*leg];
  if (socket == nullptr) return counters_.drop(Drop::no_socket, run.packets);
  const LegIndex sender = 1 - *leg;
  const std::uint64_t packets = entry.is_metered ? charge(entry, sender, run) : run.packets;
  if (packets == 0) return;
  const LegAddress& where = endpoint.address(*leg);
  Datagram out;
  out.payload = packets == run.packets ? run.payload : run.payload.first(packets * run.segment);
  out.remote = where.remote;
  out.local = where.local;
  out.link = where.remote.scope;
  out.segment = packets > 1 ? static_cast<std::uint16_t>(run.segment) : std::uint16_t{0};
  socket->udp().queue(out);
  counters_.forward(run.from.remote.address.family(), where.remote.address.family(), packets, out.payload.size());
  sender == 0 ? entry.session.count_up(packets, out.payload.size())
              : entry.session.count_down(packets, out.payload.size());
}

/// How many packets of the run the asker's rates and quotas let through; the others are counted. What the first client
/// sends is up.
std::uint64_t RelayLane::charge(RelayEntry& entry, LegIndex sender, const Run& run) noexcept {
  const bool is_v6 = entry.endpoint.address(1 - sender).remote.address.is_v6();
  const std::uint64_t headers = is_v6 ? kUdpHeaders6 : kUdpHeaders4, least = run.segment + headers;
  const std::uint64_t want = run.payload.size() + run.packets * headers;
  const Grant grant =
      entry.policy.charge(sender == 0 ? Direction::up : Direction::down, run.packets, want, least, now());
  if (grant.bytes >= want) return run.packets;
  const std::uint64_t granted = grant.bytes / least;
  const Drop why = grant.wait == UINT64_MAX ? Drop::quota : Drop::rate;
  counters_.drop(why, run.packets - granted);
  entry.endpoint.refuse(sender, why);
  entry.tell_state();
  return granted;
}

void RelayLane::take_control(RelayEntry& entry, const GeneveHeader& header, Bytes packet, const Run& run) {
  RelayEndpoint& endpoint = entry.endpoint;
  const auto envelope = control_envelope(header, packet);
  if (!envelope) return counters_.drop(envelope.error());
  const auto leg = endpoint.leg_of(envelope->sender);
  if (!leg) return counters_.drop(leg.error());
  auto attempt = this->attempt(entry, *leg, run.from.remote.address);
  if (!may_cost(entry, *leg, attempt, run.from.remote.address)) {
    endpoint.refuse(*leg, Drop::handshake_limit);
    counters_.drop(Drop::handshake_limit);
    return entry.tell_state();
  }
  HandshakeTools tools{shared_.server(), secrets_, random_, &shared_.secret()};
  const MutableBytes reply = next_reply();
  const auto effect = endpoint.take_control(*leg, *envelope, run.from, tools, reply);
  charge_handshake(entry, *leg, attempt, has_opened(effect));
  if (!effect) {
    counters_.drop(effect.error());
  } else if (effect->kind == ControlEffect::Kind::answered) {
    bind(entry, *leg, run);
  } else {
    counters_.challenged.add();
    Datagram out;
    out.payload = reply.first(effect->size);
    out.remote = run.from.remote;
    out.local = run.from.local;
    out.link = run.from.remote.scope;
    run.socket->udp().queue(out);
    ++next_reply_;
  }
  entry.tell_state();
}

/// Where the client is bound, or the endpoint was asked for, nobody else's flood in its name holds it up.
FalseBoxes::Attempt RelayLane::attempt(const RelayEntry& entry, LegIndex leg, const IpAddress& source) noexcept {
  const RelayEndpoint& endpoint = entry.endpoint;
  const bool is_known = endpoint.address(leg).remote.address == source || entry.asker->source.address == source;
  return false_boxes_.attempt(endpoint.clients().keys[leg], endpoint.vni(), source, is_known);
}

/// The source first, then the name: what these may not have they do not take from others.
bool RelayLane::may_cost(const RelayEntry& entry, LegIndex leg, const FalseBoxes::Attempt& attempt,
                         const IpAddress& source) noexcept {
  if (settings_->handshakes_of_source != 0 && of_sources_.take(source, now()) != Nanoseconds(0)) return false;
  if (!attempt.may_cost(false_boxes_of_leg(), 1, now())) return false;
  if (!entry.endpoint.may_handshake(leg, now())) return false;
  const std::uint64_t rate = settings_->handshakes_of_lane;
  return of_all_.take(to_ns(now()), 1, rate, 4 * rate) == 0;
}

/// may_cost() has found that it has one.
void RelayLane::charge_handshake(RelayEntry& entry, LegIndex leg, FalseBoxes::Attempt& attempt,
                                 bool has_opened) noexcept {
  if (!has_opened) return attempt.charge(false_boxes_of_leg(), 1, now());
  attempt.remember();
  entry.endpoint.count_handshake(leg, now());
}

/// A second. No limit where the lane has none.
std::uint64_t RelayLane::false_boxes_of_leg() const noexcept {
  return (settings_->handshakes_of_lane + kLegsOfLane - 1) / kLegsOfLane;
}

/// Room that stays as it is until flush().
MutableBytes RelayLane::next_reply() noexcept {
  if (next_reply_ == replies_.size()) flush();
  return replies_[next_reply_];
}

/// The client has shown that it receives where it sends from: policy has the last word.
void RelayLane::bind(RelayEntry& entry, LegIndex leg, const Run& run) {
  RelayEndpoint& endpoint = entry.endpoint;
  const Verdict verdict = entry.policy.check({.destination = run.from.remote, .peer_asked = true});
  if (!verdict.allowed) {
    endpoint.refuse(leg, Drop::denied);
    counters_.drop(Drop::denied);
    return counters_.deny(verdict);
  }
  const bool was_open = endpoint.is_open(), was_bound = endpoint.address(leg).is_set();
  const bool has_moved = endpoint.address(leg) != run.from;
  if (has_moved) kernel_legs_.withdraw(entry);
  endpoint.bind(leg, run.from, now());
  entry.sockets[leg] = run.socket;
  kernel_legs_.review(entry, now());
  counters_.bound.add();
  if (was_bound && has_moved) counters_.moved.add();
  if (endpoint.is_open() && !was_open) {
    counters_.connecting.sub();
    counters_.open.add();
    schedule(entry);
  }
  if (has_moved)
    static_cast<void>(entry.session.keep(context_, entry.asker->source, RelayBlob::kVersion, blob_of(entry).write()));
}

void RelayLane::flush() noexcept {
  for (const auto& socket : sockets_) socket->udp().flush();
  next_reply_ = 0;
}

}  // namespace gatehouse::geneve_relay
