#include "plugins/geneve-relay/allocation/mapped_addresses.hpp"

#include <algorithm>

namespace gatehouse::geneve_relay {
namespace {

constexpr unsigned kRounds = 2;  // that a sight holds

void add_once(std::vector<Endpoint>& out, const Endpoint& one) {
  if (std::ranges::find(out, one) == out.end()) out.push_back(one);
}

}  // namespace

void MappedAddresses::begin_round() {
  std::erase_if(sights_, [](Sight& sight) { return ++sight.age >= kRounds; });
}

void MappedAddresses::add(const Endpoint& server, const Endpoint& mapped) {
  std::erase_if(sights_, [&](const Sight& sight) { return sight.server == server; });
  if (sights_.size() == kMost) sights_.erase(sights_.begin());
  sights_.push_back({server, mapped, 0});
}

std::vector<Endpoint> MappedAddresses::offered(const std::vector<Endpoint>& sockets) const {
  std::vector<Endpoint> out;
  for (const Sight& sight : sights_) add_once(out, sight.mapped);
  for (const Sight& one : sights_) {
    const bool is_hard = one.mapped.address.is_v4() && std::ranges::any_of(sights_, [&](const Sight& other) {
                           return other.mapped.address == one.mapped.address && other.mapped.port != one.mapped.port;
                         });
    if (!is_hard) continue;
    for (const Endpoint& socket : sockets)
      if (socket.address.unmapped().is_v4()) add_once(out, {one.mapped.address, socket.port});
  }
  return out;
}

}  // namespace gatehouse::geneve_relay
