// What is offered to clients: where the relay's sockets are reached.
//
//   advertise   as configured, in place of what the machine has
//   else        the interfaces' addresses with the sockets' ports, as they come and go (rtnetlink)
//   and         what STUN servers see of us, where there are some
#pragma once

#include "plugins/geneve-relay/allocation/mapped_addresses.hpp"
#include "plugins/geneve-relay/allocation/stun_transactions.hpp"
#include "plugins/geneve-relay/wire/endpoint_message.hpp"

#include <gatehouse/base/address.hpp>

#include <mutex>
#include <vector>

namespace gatehouse::geneve_relay {

/// Of the plugin's options.
struct AdvertisedSettings {
  std::vector<Endpoint> advertise{};  ///< `advertise`: static pairs; none: the interfaces' addresses
  std::vector<Endpoint>
      stun_servers{};  ///< `stun_servers`: by address; none: no discovery. At most StunTransactions::kMost
};

/// The lanes' common one, made before they run. Thread-safe: a lock that nobody holds for longer than a copy, and that
/// no packet but an awaited STUN response takes. An AddressKeeper, on one lane, keeps it right.
class AdvertisedAddresses {
 public:
  /// @param sockets  where the listeners of datagrams are bound, with their real ports
  AdvertisedAddresses(AdvertisedSettings settings, std::vector<Endpoint> sockets);

  /// What to offer now, at most AddressList::kMost: configured or the interfaces' ones first, IPv4 before IPv6. Empty:
  /// not ready, which may change.
  [[nodiscard]] AddressList current() const;

  /// Other options, or other listeners, from now on.
  void configure(AdvertisedSettings settings);
  void set_sockets(std::vector<Endpoint> sockets);
  /// Those of the machine, as usable_addresses() has them.
  void set_interfaces(std::vector<IpAddress> addresses);

  /// The requests to send to all servers, each with its server: a round begins. What the servers of the last round saw
  /// and those of the round before did not is offered no more.
  struct StunRequest {
    Endpoint server;
    std::array<std::byte, kStunRequestSize> datagram;
  };
  [[nodiscard]] std::vector<StunRequest> begin_round(RandomSource& random);
  /// A datagram that kind_of() calls STUN, from whatever lane: what it says is offered if it answers what was asked.
  void take_stun(Bytes datagram, const Endpoint& source);

 private:
  template <class Change>
  void change(Change change);
  [[nodiscard]] AddressList put_together() const;

  mutable std::mutex mutex_;  // guards what follows, but for transactions_
  AdvertisedSettings settings_;
  std::vector<Endpoint> sockets_;
  MappedAddresses mapped_;
  std::vector<IpAddress> interfaces_;
  AddressList current_;
  StunTransactions transactions_;
};

}  // namespace gatehouse::geneve_relay
