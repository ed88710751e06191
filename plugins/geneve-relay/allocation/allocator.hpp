// Who gives out endpoints: the lanes do, whoever was asked over HTTP or by a sealed message asks them.
#pragma once

#include "plugins/geneve-relay/wire/disco_pair.hpp"
#include "plugins/geneve-relay/wire/endpoint_message.hpp"

#include <gatehouse/base/address.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <variant>

namespace gatehouse::geneve_relay {

/// Who asks for an endpoint, and for whom.
struct AllocationDemand {
  DiscoPair clients;
  std::string identity;    ///< "token:bob", "relay:NAME"; "" = anonymous
  Endpoint source;         ///< family none for a Unix peer
  std::uint32_t listener;  ///< Listener::id that it came by
};

/// Why there is no endpoint.
struct AllocationRefusal {
  enum class Cause : std::uint8_t {
    denied,       ///< by an admission, or a rule of the identity
    own_key,      ///< one of the keys is the relay's, or both are one
    not_ready,    ///< no address to offer yet
    limit,        ///< the identity has as many endpoints as its rules allow
    full,         ///< no VNI, or no memory, is left
    draining,     ///< the gateway stops
    not_durable,  ///< the store cannot be relied on
    no_answer,    ///< the lane that owns the pair says nothing, or has too much to do
    count
  };
  Cause cause;
  std::string sentence;              ///< for people, what to do
  std::chrono::seconds retry_after;  ///< zero: asking again is of no use
};

inline constexpr std::size_t kAllocationRefusals = static_cast<std::size_t>(AllocationRefusal::Cause::count);

using AllocationOutcome = std::variant<ServerEndpoint, AllocationRefusal>;

/// One lane's; not thread-safe.
class Allocator {
 public:
  using Then = std::function<void(AllocationOutcome)>;

  virtual ~Allocator() = default;
  /// Asks the lane that owns the pair, perhaps this one: an endpoint that there is comes back as it is, its bind time
  /// begun anew. `then` runs on this lane, once, perhaps within the call, after the endpoint is durable; never where
  /// the lane ends before. It must know by itself whether its asker is still there.
  virtual void allocate(AllocationDemand demand, Then then) = 0;
};

}  // namespace gatehouse::geneve_relay
