// What a lane counts. Every datagram that does not leave again has a cause here.
#pragma once

#include "plugins/geneve-relay/fast_path/fast_path.hpp"
#include "plugins/geneve-relay/relay/drop.hpp"
#include "plugins/geneve-relay/relay/leg_state.hpp"
#include "plugins/geneve-relay/server/relay_socket.hpp"

#include <gatehouse/base/address.hpp>
#include <gatehouse/plugin/policy_client.hpp>

#include <array>

namespace gatehouse::geneve_relay {

/// Of one lane. Additions only; nothing else on the packet path.
class Counters {
 public:
  explicit Counters(const LaneContext& context);

  void drop(Drop cause, std::uint64_t packets = 1) noexcept { drops_[static_cast<std::size_t>(cause)].add(packets); }
  void deny(const Verdict& verdict) noexcept;
  void forward(Family in, Family out, std::uint64_t packets, std::uint64_t bytes) noexcept {
    const std::size_t way = (in == Family::v6 ? 2U : 0U) + (out == Family::v6 ? 1U : 0U);
    packets_[way].add(packets);
    bytes_[way].add(bytes);
  }

  /// What the kernel's part did with packets, as it counts them: of one lane only.
  void tell(const FastTotals& now) noexcept;
  /// What its sockets have lost, and how they were batched, since the last call. One system call.
  void tell(RelaySocket& socket) noexcept;

  Counter connecting, open;                       ///< endpoints, now
  Counter allocated, extended, expired;           ///< endpoints, ever
  Counter displaced;                              ///< endpoints that made place for those of whoever had less
  Counter challenged, bound, moved;               ///< handshakes: moved is of a client that was bound elsewhere
  Counter handed_over;                            ///< packets that came at another lane than their endpoint's
  Counter stun, sealed;                           ///< datagrams for discovery and allocation
  std::array<Counter, kInKernel> kernel_legs;     ///< by InKernel, now; nothing of `none`
  std::array<Counter, kInKernel> kernel_refused;  ///< by InKernel, ever: of what the kernel's map did not take

 private:
  /// How far batches go, one way.
  struct Batches {
    void add(std::uint64_t more_calls, std::uint64_t more_messages, std::uint64_t more_datagrams) noexcept {
      calls.add(more_calls);
      messages.add(more_messages);
      datagrams.add(more_datagrams);
    }
    Counter calls, messages, datagrams;
  };

  std::array<Counter, kDrops> drops_;
  std::array<Counter, kReasons> denied_;
  std::array<Counter, GH_FAST_COUNTS> kernel_;
  Counter kernel_bytes_;
  FastTotals told_of_kernel_;
  Counter overflows_, truncated_, unreachable_, invalid_, too_long_, forbidden_, otherwise_, full_;
  std::array<Batches, 2> batches_;          // received, sent
  std::array<Counter, 4> packets_, bytes_;  // udp4 to udp4, to udp6; udp6 to udp4, to udp6
};

}  // namespace gatehouse::geneve_relay
