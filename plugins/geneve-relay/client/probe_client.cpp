#include "plugins/geneve-relay/client/probe_client.hpp"

#include <algorithm>

namespace gatehouse::geneve_relay {
namespace {

using namespace std::chrono_literals;

constexpr auto kBindEvery = 300ms;  // Binds are lost, too
constexpr auto kForOthers = 250ms;  // what the other addresses get after the first has answered

}  // namespace

ProbeClient::ProbeClient(const RelayPeer& peer, const DiscoKey& key, std::span<const Endpoint> addresses)
    : peer_(peer), key_(key), candidates_(addresses.begin(), addresses.end()) {}

bool ProbeClient::handshake(SteadyTime deadline) {
  peer_.begin();
  const SteadyTime began = steady_now();
  SteadyTime next_bind = began;
  while (!have_all_answered()) {
    const SteadyTime now = steady_now();
    if (now >= deadline) break;
    if (!peer_.has_answered() && now >= next_bind) {
      send_binds();
      next_bind = now + kBindEvery;
    }
    const bool had_answered = peer_.has_answered();
    if (wait(had_answered ? deadline : std::min(next_bind, deadline))) receive_all(began);
    if (!had_answered && peer_.has_answered()) deadline = std::min(deadline, steady_now() + kForOthers);
  }
  return peer_.has_answered();
}

void ProbeClient::send_binds() noexcept {
  std::array<std::byte, kLargestHandshake> out;
  const std::size_t size = peer_.write_bind(out);
  for (Candidate& candidate : candidates_) candidate.socket.send(Bytes(out).first(size));
}

bool ProbeClient::wait(SteadyTime deadline) const {
  std::vector<const PeerSocket*> sockets;
  for (const Candidate& candidate : candidates_) sockets.push_back(&candidate.socket);
  return wait_for_any(sockets, deadline);
}

void ProbeClient::receive_all(SteadyTime began) noexcept {
  std::array<std::byte, 2048> room;
  for (std::size_t i = 0; i < candidates_.size(); ++i)
    while (const auto received = candidates_[i].socket.receive(room)) take(i, *received, began);
}

void ProbeClient::take(std::size_t candidate, const PeerSocket::Received& received, SteadyTime began) noexcept {
  std::array<std::byte, kLargestHandshake> out;
  const auto event = peer_.take(received.datagram, out);
  if (!event || event->kind == PeerEvent::Kind::data) return;
  Candidate& answered = candidates_[candidate];
  if (!answered.challenged_in) {
    answered.challenged_in = steady_now() - began;
    answered.answered_from = received.from;
  }
  if (event->kind != PeerEvent::Kind::answer) return;
  answered.socket.send_to(received.from, Bytes(out).first(event->size));
  bound_ = candidate;
}

bool ProbeClient::have_all_answered() const noexcept {
  return peer_.has_answered() &&
         std::ranges::all_of(candidates_, [](const Candidate& one) { return one.challenged_in.has_value(); });
}

void ProbeClient::send_data(MutableBytes datagram) noexcept {
  peer_.write_data_header(datagram);
  Candidate& to = candidates_[*bound_];
  to.socket.send_to(to.answered_from, datagram);
}

std::optional<Bytes> ProbeClient::receive_data(MutableBytes room) noexcept {
  std::array<std::byte, kLargestHandshake> unused;
  Candidate& by = candidates_[*bound_];
  while (const auto received = by.socket.receive(room)) {
    const auto event = peer_.take(received->datagram, unused);
    if (!event || event->kind != PeerEvent::Kind::data) continue;
    if (received->from != by.answered_from) ++data_from_elsewhere_;
    return event->payload;
  }
  return std::nullopt;
}

}  // namespace gatehouse::geneve_relay
