// A client of an endpoint as a load has it: a connected socket, which the kernel gives nothing from another address
// than it asked, and its side of the handshake. One thread.
#pragma once

#include "plugins/geneve-relay/client/relay_peer.hpp"

#include <gatehouse/base/unique_fd.hpp>

#include <optional>
#include <vector>

namespace gatehouse::bench {

/// How a load's packets are made.
struct RelayShape {
  std::size_t size = 1280;    ///< bytes of UDP payload, Geneve header included
  std::size_t burst = 32;     ///< packets of one pair in a row, at most kMostBurst
  bool is_coalesced = false;  ///< a burst by UDP_SEGMENT, and received by UDP_GRO
};
inline constexpr std::size_t kMostBurst = 64;
inline constexpr std::size_t kLeastRelaySize = 40;

/// What a packet carries behind its Geneve header.
struct RelayStamp {
  std::uint32_t pair = 0, trial = 0;  ///< trial 0: the proof of a handshake
  std::uint64_t sequence = 0, time_ns = 0;
};

/// The longest time without a packet, up to one that came. Times in ns of the steady clock.
class Silence {
 public:
  explicit Silence(std::uint64_t now = 0) noexcept : heard_at_(now) {}
  void hear(std::uint64_t now) noexcept {
    if (now - heard_at_ > longest_) {
      longest_ = now - heard_at_;
      ended_at_ = now;
    }
    heard_at_ = now;
  }
  [[nodiscard]] std::uint64_t heard_at() const noexcept { return heard_at_; }
  [[nodiscard]] std::uint64_t longest() const noexcept { return longest_; }
  [[nodiscard]] std::uint64_t ended_at() const noexcept { return ended_at_; }

 private:
  std::uint64_t heard_at_, longest_ = 0, ended_at_ = 0;
};

class RelayLeg {
 public:
  enum class State : std::uint8_t { asking, answered, proven };

  /// @throws boost::system::system_error  no socket
  RelayLeg(const geneve_relay::RelayPeer& peer, const Endpoint& relay, bool is_coalesced);

  [[nodiscard]] int fd() const noexcept { return fd_.get(); }

  /// Asks anew where it had answered; again what was asked where not.
  void ask();
  void forget() noexcept {
    state = State::asking;
    is_asked_ = false;
  }
  /// A control packet that has come: answers a Challenge. @return false: it is none of the relay's
  bool take_control(Bytes datagram);

  State state = State::asking;
  std::uint64_t highest = 0;  ///< sequence that came, and one
  Silence silence;            ///< of a trial

 private:
  friend class RelaySender;
  UniqueFd fd_;
  geneve_relay::RelayPeer peer_;
  std::uint64_t next_ = 0;  // sequence to be sent
  bool is_asked_ = false;
};

/// Sends bursts for any leg, out of one buffer.
class RelaySender {
 public:
  explicit RelaySender(const RelayShape& shape);

  /// @return how many the kernel took
  std::size_t send(RelayLeg& from, RelayStamp stamp, std::size_t count);
  /// Numbers from 0 on.
  static void restart(RelayLeg& leg) noexcept { leg.next_ = leg.highest = 0; }

 private:
  void write(const RelayLeg& from, const RelayStamp& stamp, std::size_t count);

  RelayShape shape_;
  std::size_t segments_;  // of one send
  std::vector<std::byte> buffer_;
};

/// The stamp of a packet, or none where it is too short for one.
[[nodiscard]] std::optional<RelayStamp> read_stamp(Bytes payload) noexcept;

}  // namespace gatehouse::bench
