// One flow of one session: that policy allows it, and what has been seen of it. Small, because there are many.
#pragma once

#include <gatehouse/base/address.hpp>
#include <gatehouse/base/clock.hpp>
#include <gatehouse/packet/ip_packet.hpp>
#include <gatehouse/plugin/policy_client.hpp>
#include <gatehouse/table/flow_table.hpp>
#include <gatehouse/table/lru.hpp>

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

namespace gatehouse::packet_tunnel {

class TunnelSession;

/// As the Internet sees it: the remote end, for DNS the resolver, and the client by its index. Of an ICMP echo the
/// client's port is the identifier and the remote one 0.
struct FlowKey {
  std::array<std::byte, 16> remote{};  // IpAddress::storage()
  std::uint32_t index = 0;             // of the session
  std::uint16_t remote_port = 0, client_port = 0;
  std::uint8_t protocol = 0, version = 0;
  std::array<std::uint8_t, 6> padding{};

  [[nodiscard]] IpAddress remote_address() const noexcept {
    return version == 4 ? IpAddress::v4(Bytes(remote).first(4)) : IpAddress::v6(remote);
  }
  friend bool operator==(const FlowKey& a, const FlowKey& b) noexcept { return std::memcmp(&a, &b, sizeof a) == 0; }
};
static_assert(sizeof(FlowKey) == 32 && std::has_unique_object_representations_v<FlowKey>, "it is hashed as it stands");

/// Multiplies and folds, with numbers that nobody outside knows. What clients choose is in the key: with known numbers
/// all keys to one IPv6 address have the same hash, and each look into the table costs everybody on the lane.
struct FlowKeyHash {
  std::size_t operator()(const FlowKey& key) const noexcept {
    __extension__ using Wide = unsigned __int128;
    std::array<std::uint64_t, 4> words;
    std::memcpy(words.data(), &key, sizeof key);
    const auto mix = [](std::uint64_t a, std::uint64_t b) {
      const Wide product = Wide{a} * b;
      return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
    };
    return mix(mix(words[0] ^ kSecret[0], words[1] ^ kSecret[1]),
               mix(words[2] ^ kSecret[2], words[3] ^ kSecret[3]) ^ kSecret[4]);
  }

 private:
  using Secret = std::array<std::uint64_t, 5>;
  static Secret make_secret() noexcept;
  static const Secret kSecret;  // of this process
};

inline FlowKeyHash::Secret FlowKeyHash::make_secret() noexcept {
  Secret out = {0x9e3779b97f4a7c15, 0xe7037ed1a0b428db, 0x8ebc6af09c88c6e3, 0x589965cc75374cc3, 0x1d8e4e27c47d124f};
  Secret random{};
  if (::getrandom(random.data(), sizeof random, GRND_NONBLOCK) != static_cast<ssize_t>(sizeof random)) return out;
  for (std::size_t i = 0; i < out.size(); ++i) out[i] ^= random[i];
  return out;
}
inline const FlowKeyHash::Secret FlowKeyHash::kSecret = FlowKeyHash::make_secret();

/// May an ICMP error go to the one whose packet it quotes? Only what tells of that packet: a redirect is a host's own
/// network's, and nobody sends a source quench (RFC 1122, 3.2.2.2; RFC 6633).
[[nodiscard]] inline bool is_relayed_error(const IpPacket& facts) noexcept {
  if (!facts.is_icmp_error()) return false;
  constexpr std::uint8_t kUnreachable = 3, kTimeExceeded = 11, kParameterProblem = 12, kLastV6 = 4;
  if (facts.version == 6) return facts.icmp_type <= kLastV6;
  return facts.icmp_type == kUnreachable || facts.icmp_type == kTimeExceeded || facts.icmp_type == kParameterProblem;
}

/// Which of a session's lists a flow is in: each has an idle time of its own.
enum class FlowList : std::uint8_t { tcp, datagram, closing, count };

/// Where the client's stream of DNS messages stands. Messages are looked for from the front of a segment, which is what
/// the resolver does only where each segment begins where the one before has ended, or is that one again: of two that
/// overlap the resolver takes a part of the second, and could find there what nobody has looked at.
class DnsStream {
 public:
  /// The client begins, perhaps: only the other end's answer tells.
  void see_syn() noexcept { is_open_ = false; }
  /// The other end has answered a SYN: `acknowledged` is the first byte of data.
  void see_answer(std::uint32_t acknowledged) noexcept {
    if (is_open_) return;
    is_open_ = true;
    last_size_ = 0;
    next_ = acknowledged;
  }
  /// May a segment with `size` bytes of data be judged by itself?
  [[nodiscard]] bool fits(std::uint32_t sequence, std::size_t size) const noexcept {
    return is_open_ && (sequence == next_ || (size == last_size_ && sequence + last_size_ == next_));
  }
  /// One that fits has been let go.
  void see(std::uint32_t sequence, std::size_t size) noexcept {
    if (sequence != next_) return;
    next_ += static_cast<std::uint32_t>(size);
    last_size_ = static_cast<std::uint16_t>(size);
  }

 private:
  std::uint32_t next_ = 0;
  std::uint16_t last_size_ = 0;
  bool is_open_ = false;
};

struct TunnelFlow {
  explicit TunnelFlow(TunnelSession& of) noexcept : session(of) {}

  TunnelSession& session;
  LruLink lru;                   // in the session's list
  std::uint32_t slot = kNoSlot;  // in the lane's table
  FlowList list = FlowList::datagram;
  bool is_transparent = false;  // the client asked the DNS address, and the remote end is a resolver
  DnsLook look;                 // DNS: every packet is judged, not only the flow
  std::uint8_t ended = 0;       // TCP: bit 0 the client has sent FIN, bit 1 the remote end
  SteadyTime last_used{};
  std::uint64_t generation = 0;  // of the policy that allows it
  DnsStream dns;                 // of DNS over TCP
};
static_assert(sizeof(TunnelFlow) <= 48, "there are many: order its members by size");

using FlowTable = gatehouse::FlowTable<FlowKey, TunnelFlow, FlowKeyHash>;

}  // namespace gatehouse::packet_tunnel
