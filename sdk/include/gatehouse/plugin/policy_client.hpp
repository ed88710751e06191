// One client as the policy engine sees it, for the lane that serves it. Not thread-safe: one lane's.
#pragma once

#include <gatehouse/plugin/host.hpp>

#include <optional>

namespace gatehouse {

/// What is known about a client when it comes. The views need to live during the call only.
struct ClientFacts {
  std::uint32_t listener = UINT32_MAX;  ///< Listener::id
  Endpoint source;                      ///< family none for a Unix peer
  std::string_view identity;            ///< "unix:bob", or empty = anonymous
  std::uint64_t session = 0;
};

/// Why policy decided what it did: "port_permit", "bogon", ... Stable names, used as metric labels.
[[nodiscard]] std::string_view reason_text(std::uint32_t reason) noexcept;
/// "port_permits 12", or "" where no row decided.
[[nodiscard]] std::string row_text(const gh_verdict& verdict);

/// A flow to be judged; `domain` is borrowed.
[[nodiscard]] gh_flow make_flow(std::uint32_t transport, const Endpoint& destination, std::uint32_t flags = 0,
                                std::string_view domain = {}) noexcept;

/// What a client's rates and quotas let through.
struct Grant {
  std::uint64_t bytes = 0;  ///< that may go now, and are charged: all, or a multiple of what a packet has
  std::uint64_t wait = 0;   ///< ns until the next packet may, where it was not all; UINT64_MAX: the quota is used up
};

/// Owns a client handle.
class PolicyClient {
 public:
  /// Empty, with the deciding rule in `why`, when policy takes no more of such clients.
  [[nodiscard]] static std::optional<PolicyClient> open(const Host& host, gh_lane* lane, const ClientFacts& facts,
                                                        gh_verdict& why);
  PolicyClient(PolicyClient&& other) noexcept;
  PolicyClient& operator=(PolicyClient&&) = delete;
  ~PolicyClient();

  /// Judges one flow in the lane's generation. Never blocks or allocates.
  [[nodiscard]] gh_verdict check(const gh_flow& flow) const noexcept {
    gh_verdict verdict{};
    verdict.struct_size = sizeof verdict;
    policy_->check(policy_->context, lane_, client_, &flow, &verdict);
    return verdict;
  }
  [[nodiscard]] gh_limits limits() const noexcept;
  /// GH_OK, or GH_E_LIMIT with the rule in `why`. Each success is to be followed by one close_flow().
  [[nodiscard]] gh_status open_flow(const gh_flow& flow, SteadyTime now, gh_verdict& why) const noexcept;
  void close_flow() const noexcept { policy_->flow_close(policy_->context, lane_, client_); }
  /// What may go of a run of `packets` packets, `want` bytes together, of which each but the last has `least`; headers
  /// of the Internet side included.
  [[nodiscard]] Grant charge(std::uint32_t direction, std::uint64_t packets, std::uint64_t want, std::uint64_t least,
                             SteadyTime now) const noexcept {
    Grant out;
    out.bytes =
        policy_->charge(policy_->context, lane_, client_, direction, packets, want, least, to_ns(now), &out.wait);
    return out;
  }

 private:
  PolicyClient(const gh_policy& policy, gh_lane* lane, gh_client* client) noexcept
      : policy_(&policy), lane_(lane), client_(client) {}

  const gh_policy* policy_;
  gh_lane* lane_;
  gh_client* client_;
};

/// Judges one datagram of a flow: by its address, and where it is DNS (port 53, or GH_FLOW_RESOLVER in `flow.flags`)
/// by the name of every question in it. The one place where frontends have DNS looked into; so it is to be called for
/// each datagram of such a flow, while the verdict of another flow holds for its generation.
/// @param flow  without a domain
[[nodiscard]] gh_verdict judge_datagram(const PolicyClient& client, gh_flow flow, Bytes payload) noexcept;

/// Must every datagram of this flow be judged?
[[nodiscard]] inline bool is_dns_flow(const gh_flow& flow) noexcept {
  return flow.destination.port == 53 || (flow.flags & GH_FLOW_RESOLVER) != 0;
}

}  // namespace gatehouse
