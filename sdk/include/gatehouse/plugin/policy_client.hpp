// One client as the policy engine sees it, for the lane that serves it. Not thread-safe: one lane's.
#pragma once

#include <gatehouse/base/prefix.hpp>
#include <gatehouse/base/reason.hpp>
#include <gatehouse/plugin/lane_context.hpp>

#include <boost/system/result.hpp>

#include <optional>
#include <span>
#include <string>

namespace gatehouse {

/// What is known about a client when it comes. The views need to live during the call only.
struct ClientFacts {
  std::uint32_t listener = UINT32_MAX;  ///< Listener::id
  Endpoint source;                      ///< family none for a Unix peer
  std::string_view identity;            ///< "unix:bob", or empty = anonymous
  std::uint64_t session = 0;            ///< Session::id(): clients of one session share its meters
};

/// IP protocols that rules can name: `icmp` (of IPv4), `tcp`, `udp`, `icmp6`. Others are judged by their numbers.
enum class Protocol : std::uint8_t { icmp = 1, tcp = 6, udp = 17, icmp6 = 58 };

/// What a client wants to reach. Borrows `domain` for one call.
struct FlowFacts {
  Endpoint destination;               ///< with its port; of ICMP the port is 0
  Protocol protocol = Protocol::udp;  ///< that it goes by
  bool to_resolver = false;           ///< one of the gateway's own resolvers, from its configuration
  bool peer_asked = false;            ///< a relay leg whose peer asked for it in a handshake
  std::string_view domain{};          ///< lower-case, A-labels, no final dot; empty = unknown
};

/// What policy decided, and because of which row.
struct Verdict {
  bool allowed = false;               ///< it may go
  Reason reason = Reason::none;       ///< why, or why not
  RuleTable table = RuleTable::none;  ///< where the deciding row stands
  std::int64_t row = 0;               ///< id in `table`
  std::uint64_t generation = 0;       ///< of the policy that decided
};
/// "port_permits 12", or "" where no row decided.
[[nodiscard]] std::string row_text(const Verdict& verdict);

/// How far policy looks into a flow; holds for its generation. Small, for there are many flows.
struct DnsLook {
  bool queries : 1 = false;  ///< it is DNS: each datagram of the client is to be judged (judge_datagram)
  bool answers : 1 = false;  ///< and each that comes back, too (judge_answer)
};

/// A value, or the verdict that refused it.
template <class T>
using Judged = boost::system::result<T, Verdict>;

/// What the client's traffic rules come to. None: no rule says, the plugin's default holds; 0: no limit.
struct Limits {
  bool metered = false;                           ///< charge() must be asked for this client's traffic
  std::optional<std::uint64_t> concurrent_flows;  ///< at the same time
  std::optional<Nanoseconds> udp_idle;            ///< without a datagram
  std::optional<Nanoseconds> tcp_idle;            ///< without a byte
  std::optional<Nanoseconds> session_idle;        ///< without a client
};

/// Which way a packet goes: `up` from the client, `down` to it.
enum class Direction : std::uint32_t { up = GH_UP, down = GH_DOWN };

/// What a client's rates and quotas let through.
struct Grant {
  std::uint64_t bytes = 0;  ///< that may go now, and are charged: all, or a multiple of what a packet has
  std::uint64_t wait = 0;   ///< ns until the next packet may, where it was not all; UINT64_MAX: the quota is used up
};

/// Owns a client handle.
class PolicyClient {
 public:
  /// Refused where such clients may not use this frontend, or policy takes no more of them.
  [[nodiscard]] static Judged<PolicyClient> open(const LaneContext& context, const ClientFacts& facts);
  PolicyClient(PolicyClient&& other) noexcept;
  PolicyClient& operator=(PolicyClient&&) = delete;
  ~PolicyClient();

  /// Judges one flow in the lane's generation. Never blocks or allocates.
  [[nodiscard]] Verdict check(const FlowFacts& flow) const noexcept;
  [[nodiscard]] Limits limits() const noexcept;
  /// Is it DNS, by settings.dns_ports or as a resolver of the gateway's, and are names judged for this client?
  [[nodiscard]] DnsLook dns(const FlowFacts& flow) const noexcept;

  /// Whether a refusal is the last word.
  enum class Try : std::uint8_t {
    first,  ///< refused for Reason::concurrent_flows, another flow will be ended and this one tried again: no denial
            ///< yet
    last    ///< a refusal is one
  };
  /// Counts a flow that begins, after check() allowed it, or tells the rule that refuses it. Each success is to be
  /// followed by one close_flow().
  [[nodiscard]] Judged<void> open_flow(const FlowFacts& flow, SteadyTime now, Try which = Try::last) const noexcept;
  void close_flow() const noexcept { policy_->flow_close(policy_->context, lane_, client_); }
  /// What may go of a run of `packets` packets, `want` bytes together, of which each but the last has `least`; headers
  /// of the Internet side included.
  [[nodiscard]] Grant charge(Direction direction, std::uint64_t packets, std::uint64_t want, std::uint64_t least,
                             SteadyTime now) const noexcept {
    Grant out;
    out.bytes = policy_->charge(policy_->context, lane_, client_, static_cast<std::uint32_t>(direction), packets, want,
                                least, to_ns(now), &out.wait);
    return out;
  }

 private:
  friend Verdict judge_datagram(const PolicyClient& client, FlowFacts flow, Bytes payload) noexcept;
  friend Verdict judge_answer(const PolicyClient& client, FlowFacts flow, Bytes payload) noexcept;
  PolicyClient(const gh_policy& policy, gh_lane* lane, gh_client* client) noexcept
      : policy_(&policy), lane_(lane), client_(client) {}
  [[nodiscard]] Verdict check(const FlowFacts& flow, std::uint32_t more_flags) const noexcept;

  const gh_policy* policy_;
  gh_lane* lane_;
  gh_client* client_;
};

/// These addresses are the plugin's own from now on (its tunnel's, say), in place of those before: policy denies them
/// to every client of another plugin, whatever permit covers them. Any thread, from start() on; the host locks.
/// @return Errc::invalid for more than 256, or one that is everything; Errc::failed for want of memory;
///         Errc::unsupported where the host takes no claims
[[nodiscard]] Result<void> claim_prefixes(const Host& host, std::span<const Prefix> prefixes);

/// Judges one datagram of a flow: by its address, and where it is DNS (PolicyClient::dns) by the name of every question
/// in it. With judge_answer() the one place where frontends have DNS looked into; so it is to be called for each
/// datagram of such a flow, while the verdict of another flow holds for its generation.
/// @param flow  without a domain
[[nodiscard]] Verdict judge_datagram(const PolicyClient& client, FlowFacts flow, Bytes payload) noexcept;

/// Judges what came back on a flow where DnsLook::answers says so: by every name that it leads to (CNAME chains,
/// targets of SVCB and HTTPS records). The caller has seen to it that it belongs to the flow. One that is refused for
/// Reason::domain is to be answered as a blocked question is (BlockedAnswer), any other to be dropped. Never blocks or
/// allocates; judges kMostDnsTargets names at most.
/// @param flow  without a domain
[[nodiscard]] Verdict judge_answer(const PolicyClient& client, FlowFacts flow, Bytes payload) noexcept;

}  // namespace gatehouse
