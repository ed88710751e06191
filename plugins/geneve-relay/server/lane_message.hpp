// What one lane hands to another: a request for an endpoint and its outcome, and packets that came at the wrong one.
#pragma once

#include "plugins/geneve-relay/allocation/allocator.hpp"
#include "plugins/geneve-relay/relay/endpoint.hpp"

#include <gatehouse/async/lane_channel.hpp>
#include <gatehouse/table/slab.hpp>

#include <algorithm>
#include <array>
#include <memory>
#include <variant>

namespace gatehouse::geneve_relay {

/// To the lane that owns the pair.
struct AllocationAsk {
  AllocationDemand demand;
  std::uint32_t lane;  ///< that asks
  SlotHandle ticket;   ///< of that lane's own
};

/// Back to the lane that asked.
struct AllocationAnswer {
  SlotHandle ticket;
  AllocationOutcome outcome;
};

using LaneMessage = std::variant<AllocationAsk, AllocationAnswer>;

/// Packets of one endpoint, in one piece, for the lane that owns it: those of a client that came coalesced with others,
/// or all where the kernel does not steer. Moving it copies what it holds and allocates nothing.
class StrayRun {
 public:
  static constexpr std::size_t kMost = 9216;  ///< bytes; a larger datagram is not handed over

  /// @param payload  kMost bytes at most
  StrayRun(Bytes payload, const LegAddress& from, std::uint16_t segment) noexcept
      : from_(from), size_(static_cast<std::uint16_t>(payload.size())), segment_(segment) {
    std::ranges::copy(payload, bytes_.begin());
  }
  StrayRun(StrayRun&& other) noexcept : StrayRun(other.payload(), other.from_, other.segment_) {}
  StrayRun& operator=(StrayRun&&) = delete;

  [[nodiscard]] MutableBytes payload() noexcept { return MutableBytes(bytes_).first(size_); }
  [[nodiscard]] const LegAddress& from() const noexcept { return from_; }
  [[nodiscard]] std::uint16_t segment() const noexcept { return segment_; }

 private:
  LegAddress from_;
  std::uint16_t size_, segment_;
  std::array<std::byte, kMost> bytes_;  // uninitialised beyond size_
};

/// What waits for a lane. Any lane sends, the lane itself receives.
struct LaneInbox {
  static constexpr std::size_t kMessages = 4096, kStrays = 128;

  LaneChannel<std::unique_ptr<LaneMessage>> messages{kMessages};
  LaneChannel<StrayRun> strays{kStrays};
};

}  // namespace gatehouse::geneve_relay
