#include "plugins/geneve-relay/allocation/advertised_addresses.hpp"

#include <algorithm>

namespace gatehouse::geneve_relay {
namespace {

void add_once(AddressList& out, const Endpoint& one) {
  if (std::ranges::find(out.all(), one) == out.all().end()) out.add(one);
}

/// What a socket that is bound to everything is reached at, of the machine's addresses; another one at its own.
void add_own(AddressList& out, const Endpoint& socket, const std::vector<IpAddress>& machine) {
  if (!socket.address.is_unspecified()) return add_once(out, Endpoint{socket.address.unmapped(), socket.port});
  for (const IpAddress& address : machine)
    if (address.family() == socket.address.family() && !address.is_loopback()) add_once(out, {address, socket.port});
}

}  // namespace

AdvertisedAddresses::AdvertisedAddresses(AdvertisedSettings settings, std::vector<Endpoint> sockets)
    : settings_(std::move(settings)), sockets_(std::move(sockets)) {
  current_ = put_together();
}

AddressList AdvertisedAddresses::current() const {
  const std::scoped_lock lock(mutex_);
  return current_;
}

AddressList AdvertisedAddresses::put_together() const {
  AddressList out;
  for (const Endpoint& one : settings_.advertise) add_once(out, one);
  if (settings_.advertise.empty()) {
    for (const Family family : {Family::v4, Family::v6})
      for (const Endpoint& socket : sockets_)
        if (socket.address.unmapped().family() == family) add_own(out, socket, interfaces_);
  }
  for (const Endpoint& one : mapped_.offered(sockets_)) add_once(out, one);
  return out;
}

template <class Change>
void AdvertisedAddresses::change(Change change) {
  const std::scoped_lock lock(mutex_);
  change();
  current_ = put_together();
}

void AdvertisedAddresses::configure(AdvertisedSettings settings) {
  change([&] {
    if (settings.stun_servers != settings_.stun_servers) mapped_.clear();
    settings_ = std::move(settings);
  });
}

void AdvertisedAddresses::set_sockets(std::vector<Endpoint> sockets) {
  change([&] { sockets_ = std::move(sockets); });
}

void AdvertisedAddresses::set_interfaces(std::vector<IpAddress> addresses) {
  change([&] { interfaces_ = std::move(addresses); });
}

std::vector<AdvertisedAddresses::StunRequest> AdvertisedAddresses::begin_round(RandomSource& random) {
  std::vector<StunRequest> out;
  change([&] {
    mapped_.begin_round();
    for (const Endpoint& server : settings_.stun_servers) out.push_back({server, transactions_.begin(server, random)});
  });
  return out;
}

void AdvertisedAddresses::take_stun(Bytes datagram, const Endpoint& source) {
  const auto answer = transactions_.take(datagram, source);
  if (answer) change([&] { mapped_.add(answer->server, answer->mapped); });
}

}  // namespace gatehouse::geneve_relay
