// What a session has carried and what not: counted for its log line and `gatehouse sessions`, and once more for the
// lane's exported series.
#pragma once

#include "plugins/packet-tunnel/server/reject.hpp"

#include <gatehouse/plugin/policy_client.hpp>

#include <array>
#include <cstdint>
#include <span>
#include <string>

namespace gatehouse::packet_tunnel {

/// Which of a session's or a lane's counts: TCP, UDP or ICMP, of IPv4 or IPv6, one way.
struct Kind {
  Direction direction;
  std::uint8_t protocol;  ///< an IP protocol number
  std::uint8_t version;   ///< 4 or 6

  static constexpr std::size_t kCount = 12;
  [[nodiscard]] constexpr std::size_t index() const noexcept {
    const std::size_t what = protocol == kTcp ? 0 : protocol == kUdp ? 1 : 2;
    return (static_cast<std::size_t>(direction) * 3 + what) * 2 + (version == 6 ? 1 : 0);
  }
};

/// A session's own. One lane's; not thread-safe.
struct SessionMetrics {
  struct Carried {
    std::uint64_t packets = 0;
    std::uint64_t bytes = 0;              ///< of whole IP packets
    std::uint64_t application_bytes = 0;  ///< behind the TCP or UDP header, retransmissions included
  };
  std::array<Carried, Kind::kCount> carried{};
  std::array<std::array<std::uint32_t, kRejects>, 2> rejected{};  // by direction
  std::array<std::uint32_t, 2> all_rejected{};                    // the sum of these

  /// For people, at its end: "tcp4_up=12/1800/1200 ..." as packets/bytes/application bytes, then what was refused.
  [[nodiscard]] std::string to_string() const;

  /// For `gatehouse sessions`: "tcp4_up_packets", "tcp4_up_bytes", "tcp4_up_application_bytes" and so on, then
  /// "refused_up_no_ipv6" and so on, in the order of counts().
  static constexpr std::size_t kCounts = 3 * Kind::kCount + 2 * kRejects;
  using Counts = std::array<std::uint64_t, kCounts>;
  [[nodiscard]] static std::span<const gh_bytes, kCounts> count_names() noexcept;
  [[nodiscard]] Counts counts() const noexcept;
  /// As counts() said.
  [[nodiscard]] static SessionMetrics from(const Counts& counts) noexcept;
};

/// The lane's cells in the exporter.
class Counters {
 public:
  explicit Counters(const LaneContext& context);

  void carried(Kind kind, std::uint64_t packets, std::uint64_t bytes) noexcept {
    packets_[kind.index()].add(packets);
    bytes_[kind.index()].add(bytes);
  }
  void rejected(Direction direction, Reject reject, std::uint64_t packets = 1) noexcept {
    rejected_[static_cast<std::size_t>(direction)][static_cast<std::size_t>(reject)].add(packets);
  }

  Counter sessions, clients, flows;
  Counter sessions_opened, sessions_resumed, sessions_recycled, clients_recycled, flows_recycled;
  Counter refused_limit, refused_admission, refused_full, refused_address, refused_store, refused_malformed,
      refused_draining;
  Counter device_reads, device_writes, answers, blocked_answers, marked, accept_pauses;

 private:
  std::array<Counter, Kind::kCount> packets_, bytes_;
  std::array<std::array<Counter, kRejects>, 2> rejected_;
};

}  // namespace gatehouse::packet_tunnel
