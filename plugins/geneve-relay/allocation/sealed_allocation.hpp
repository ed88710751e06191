// Asking for an endpoint by a sealed message on the relay's own UDP port: naked disco, type 8, answered by type 9.
//
//   naked disco -> size -> whose key (`credentials`, kind relay_key) -> bound of the source
//               -> bound of what has not opened in the key's name -> not recorded
//               -> what is shared with the key, within a bound of the lane for keys that are new to it
//               -> box, within a bound of the lane -> bound of the key -> a request of one of its two clients
//               -> Allocator -> durable -> the sealed response
//
// Whatever is wrong is silence and a count: whoever has no key that is known learns nothing. A response has at most
// twice the bytes of its request, and goes out once for each: who has recorded requests sends nobody a flood with them.
// A public key is no secret, so what others send in its name is never charged to it: only what its owner has sealed is.
// Theirs has a bound of its own (FalseBoxes), and the owner another one where it has asked from before.
#pragma once

#include "plugins/geneve-relay/allocation/allocation_metrics.hpp"
#include "plugins/geneve-relay/allocation/allocator.hpp"
#include "plugins/geneve-relay/allocation/asker_keys.hpp"
#include "plugins/geneve-relay/allocation/seen_nonces.hpp"
#include "plugins/geneve-relay/relay/endpoint.hpp"
#include "plugins/geneve-relay/relay/false_boxes.hpp"

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
  limit,    ///< more than one source, key or lane may cost, or than may wait
  replay,   ///< the same as before, perhaps from somebody who has recorded it
  box,      ///< does not open: for another relay, or changed under way
  message,  ///< opened, and no request
  pair,     ///< the sender is neither of the clients, or these are one
  count
};

/// One lane's; not thread-safe. Has tables of some 450 KB.
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

  /// A datagram that kind_of() calls disco. The answer leaves later, or never. About 1 us for whom nobody knows, 2 for
  /// a box of a key that has asked before, and 45 for those few that are the first of theirs.
  /// @param path      where it came from, and to
  /// @param listener  Listener::id that it came by
  void take(Bytes datagram, const LegAddress& path, std::uint32_t listener);

  static constexpr std::uint64_t kRateOfSource = 5, kBurstOfSource = 20;  ///< boxes, a second
  static constexpr std::uint64_t kRateOfKey = 20, kBurstOfKey = 40;       ///< requests of a sender's own
  static constexpr std::uint64_t kFalseBoxesOfKey = 500;                  ///< in its name: 5 % of the lane's
  static constexpr std::uint64_t kCostOfNewKey = 100;                     ///< of those: few names take not all below
  static constexpr std::uint64_t kNewKeysOfLane = 500;                    ///< a second, and at once: 2 % of the lane
  static constexpr std::uint64_t kBoxesOfLane = 10'000;                   ///< a second, and at once: 2 % of the lane
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
  [[nodiscard]] OrFault<AskerKey*> known(const DiscoKey& sender, bool is_familiar) noexcept;
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
  AskerKeys keys_;
  FalseBoxes false_boxes_;
  std::array<Gcra, 2> new_keys_;  // the lane's, from strange sources and as many from familiar ones
  Gcra boxes_;                    // the lane's
  std::size_t waiting_ = 0;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for answers that come later
};

}  // namespace gatehouse::geneve_relay
