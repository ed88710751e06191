// Keeps AdvertisedAddresses right, on one lane: follows the interfaces by rtnetlink, and asks STUN servers every 20 to
// 26 s from the relay's own sockets.
#pragma once

#include "plugins/geneve-relay/allocation/address_watch.hpp"
#include "plugins/geneve-relay/allocation/advertised_addresses.hpp"

#include <gatehouse/plugin/lane_context.hpp>

namespace gatehouse::geneve_relay {

/// One of all lanes has it; on its thread.
class AddressKeeper {
 public:
  /// Sends a datagram to a STUN server, from the relay's socket of that family. False: there is none, or it does not.
  using Send = std::function<bool(Bytes datagram, const Endpoint& to)>;

  /// Both outlive it. Looks at the interfaces at once; what it cannot follow is a warning in the log.
  AddressKeeper(const LaneContext& context, AdvertisedAddresses& addresses, RandomSource& random, Send send);
  AddressKeeper(const AddressKeeper&) = delete;
  AddressKeeper& operator=(const AddressKeeper&) = delete;

  /// Asks all servers now, and from then on: once the sockets are there, and whenever these or the settings change.
  void ask();

  static constexpr Nanoseconds kLeastPause = std::chrono::seconds(20), kMostPause = std::chrono::seconds(26);

 private:
  void look_at_interfaces();

  LaneContext context_;
  AdvertisedAddresses& addresses_;
  RandomSource& random_;
  Send send_;
  AddressWatch watch_;
  LaneTimer again_;
};

}  // namespace gatehouse::geneve_relay
