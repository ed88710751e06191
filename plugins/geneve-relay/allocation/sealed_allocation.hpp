// Asking for an endpoint by a sealed message on the relay's own UDP port: naked disco, type 8, answered by type 9.
//
//   naked disco -> size -> whose key (`credentials`, kind relay_key) -> bounds of the source and the lane
//               -> box -> a request of one of its two clients -> Allocator -> durable -> the sealed response
//
// Whatever is wrong is silence and a count (Drop): whoever has no key that is known learns nothing.
#pragma once

#include "plugins/geneve-relay/allocation/allocation_metrics.hpp"
#include "plugins/geneve-relay/allocation/allocator.hpp"
#include "plugins/geneve-relay/relay/endpoint.hpp"

#include <gatehouse/plugin/identities.hpp>
#include <gatehouse/plugin/source_limits.hpp>
#include <gatehouse/table/gcra.hpp>

#include <functional>
#include <memory>

namespace gatehouse::geneve_relay {

/// One lane's; not thread-safe. Has a table of some 50 KB.
class SealedAllocation {
 public:
  /// Sends a datagram of at most kLargestAnswer bytes to `path.remote`, from `path.local`.
  using Send = std::function<void(Bytes datagram, const LegAddress& path)>;

  /// What the others are made with. All of it outlives the object.
  struct Tools {
    const DiscoSecret& secret;  ///< the relay's own
    RandomSource& nonces;
    DropCounts& drops;
  };

  SealedAllocation(const LaneContext& context, Allocator& allocator, const Tools& tools, Send send);
  ~SealedAllocation();
  SealedAllocation(const SealedAllocation&) = delete;
  SealedAllocation& operator=(const SealedAllocation&) = delete;

  /// A datagram that kind_of() calls disco. The answer leaves later, or never. About 1 us for whom nobody knows, 45 us
  /// for those few that are within the bounds.
  /// @param path      where it came from, and to
  /// @param listener  Listener::id that it came by
  void take(Bytes datagram, const LegAddress& path, std::uint32_t listener);

  static constexpr std::uint64_t kRateOfSource = 5, kBurstOfSource = 20;  ///< boxes, a second
  static constexpr std::uint64_t kRateOfLane = 500, kBurstOfLane = 500;   ///< boxes, a second: 2 % of the lane
  static constexpr std::size_t kMostWaiting = 1024;                       ///< for the store
  static constexpr std::size_t kLargestAnswer = kEnvelopeOverhead + kLargestEndpointMessage;

 private:
  /// Whom the answer is for, once there is one.
  struct Asker;

  [[nodiscard]] OrDrop<Asker> judge(Bytes datagram, const LegAddress& path);
  void answer(const Asker& asker, const AllocationOutcome& outcome);

  LaneContext context_;
  Allocator& allocator_;
  Tools tools_;
  const DiscoKey own_;
  Send send_;
  Identities identities_;
  AllocationMetrics metrics_;
  SourceLimits sources_;
  Gcra lane_;
  std::shared_ptr<std::size_t> waiting_;  // askers; what waits longer than this object finds it gone
};

}  // namespace gatehouse::geneve_relay
