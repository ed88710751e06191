// Asking for an endpoint by a sealed message on the relay's own UDP port: naked disco, type 8, answered by type 9.
//
//   naked disco -> size -> whose key (`credentials`, kind relay_key) -> bounds of source, key and lane
//               -> box -> a request of one of its two clients -> Allocator -> durable -> the sealed response
//
// Whatever is wrong is silence and a count: whoever has no key that is known learns nothing. A response has at most
// twice the bytes of its request, and goes out once for each: who has recorded requests sends nobody a flood with them.
#pragma once

#include "plugins/geneve-relay/allocation/allocation_metrics.hpp"
#include "plugins/geneve-relay/allocation/allocator.hpp"
#include "plugins/geneve-relay/allocation/seen_nonces.hpp"
#include "plugins/geneve-relay/relay/endpoint.hpp"

#include <gatehouse/plugin/identities.hpp>
#include <gatehouse/plugin/source_limits.hpp>
#include <gatehouse/table/gcra.hpp>

#include <functional>
#include <memory>

namespace gatehouse::geneve_relay {

/// Why a message was not answered, but for what Allocator refuses. In the order in which they are looked for.
enum class SealedFault : std::uint8_t {
  size,     ///< shorter or longer than any request
  key,      ///< no credential has the sender's key
  limit,    ///< more than one source, or one lane, may cost, or than may wait
  replay,   ///< the same as before, perhaps from somebody who has recorded it
  box,      ///< does not open: for another relay, or changed under way
  message,  ///< opened, and no request
  pair,     ///< the sender is neither of the clients, or these are one
  count
};

/// One lane's; not thread-safe. Has tables of some 300 KB.
class SealedAllocation {
 public:
  /// Sends a datagram of at most kLargestAnswer bytes to `path.remote`, from `path.local` and the port of `listener`.
  using Send = std::function<void(Bytes datagram, const LegAddress& path, std::uint32_t listener)>;

  /// All but `send` outlives it.
  /// @param secret  the relay's own
  SealedAllocation(const LaneContext& context, Allocator& allocator, const DiscoSecret& secret, RandomSource& nonces,
                   Send send);
  SealedAllocation(const SealedAllocation&) = delete;
  SealedAllocation& operator=(const SealedAllocation&) = delete;

  /// A datagram that kind_of() calls disco. The answer leaves later, or never. About 1 us for whom nobody knows, 45 us
  /// for those few that are within the bounds.
  /// @param path      where it came from, and to
  /// @param listener  Listener::id that it came by
  void take(Bytes datagram, const LegAddress& path, std::uint32_t listener);

  static constexpr std::uint64_t kRateOfSource = 5, kBurstOfSource = 20;  ///< boxes, a second
  static constexpr std::uint64_t kRateOfKey = 20, kBurstOfKey = 40;       ///< of a sender's key
  static constexpr std::uint64_t kRateOfLane = 500, kBurstOfLane = 500;   ///< boxes, a second: 2 % of the lane
  static constexpr std::size_t kMostWaiting = 1024;                       ///< for the store
  static constexpr std::size_t kMostAnswered = 2;                         ///< times the bytes of the request
  static constexpr std::size_t kLargestAnswer = kEnvelopeOverhead + kLargestEndpointMessage;

 private:
  static constexpr std::size_t kFaults = static_cast<std::size_t>(SealedFault::count);
  template <class T>
  using OrFault = boost::system::result<T, SealedFault>;

  /// Whom the answer is for, once there is one.
  struct Asker {
    SharedKey shared;
    LegAddress path;
    std::uint32_t listener;  // Listener::id that it came by
    std::uint32_t generation;
    std::size_t size;  // of the request, bytes
  };
  /// What was asked, by whom.
  struct Question {
    Asker asker;
    DiscoPair clients;
    std::string identity;
  };

  [[nodiscard]] OrFault<Question> read(Bytes datagram, const LegAddress& path, std::uint32_t listener);
  [[nodiscard]] bool may_open(const IpAddress& source, const DiscoKey& sender) noexcept;
  void answer(const Asker& asker, const AllocationOutcome& outcome);

  LaneContext context_;
  Allocator& allocator_;
  const DiscoSecret& secret_;
  const DiscoKey own_;
  RandomSource& nonces_;
  Send send_;
  Identities identities_;
  AllocationMetrics metrics_;
  std::array<Counter, kFaults> dropped_;
  SeenNonces seen_;
  SourceLimits sources_;
  std::array<Gcra, 256> keys_;  // by a byte of theirs
  Gcra lane_;
  std::size_t waiting_ = 0;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for answers that come later
};

}  // namespace gatehouse::geneve_relay
