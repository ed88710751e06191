#include <gatehouse/plugin/policy_client.hpp>

#include <gatehouse/net/dns_message.hpp>

#include <utility>
#include <vector>

namespace gatehouse {
namespace {

template <class Enum>
constexpr bool same(int border, Enum ours) noexcept {
  return border == static_cast<int>(ours);
}

// base/reason.hpp has the border's numbers.
static_assert(same(GH_REASON_NONE, Reason::none) && same(GH_REASON_HARD_DENY, Reason::hard_deny) &&
              same(GH_REASON_BOGON, Reason::bogon) && same(GH_REASON_UNWRAPPED, Reason::unwrapped) &&
              same(GH_REASON_DOMAIN, Reason::domain) && same(GH_REASON_DNS_MALFORMED, Reason::dns_malformed) &&
              same(GH_REASON_PORT_PERMIT, Reason::port_permit) && same(GH_REASON_DEFAULT, Reason::default_action) &&
              same(GH_REASON_RESOLVER, Reason::resolver) && same(GH_REASON_PEER, Reason::peer) &&
              same(GH_REASON_NO_POLICY, Reason::no_policy) &&
              same(GH_REASON_CONCURRENT_FLOWS, Reason::concurrent_flows) &&
              same(GH_REASON_NEW_FLOW_RATE, Reason::new_flow_rate) &&
              same(GH_REASON_DESTINATIONS, Reason::destinations) && same(GH_REASON_RATE, Reason::rate) &&
              same(GH_REASON_QUOTA, Reason::quota) &&
              same(GH_REASON_CONCURRENT_SESSIONS, Reason::concurrent_sessions) &&
              same(GH_REASON_LOCAL, Reason::local) && same(GH_REASON_ADMISSION, Reason::admission) &&
              same(GH_REASON_ADMISSION + 1, kReasons));
static_assert(same(GH_TABLE_NONE, RuleTable::none) && same(GH_TABLE_DOMAIN_RULES, RuleTable::domain_rules) &&
              same(GH_TABLE_DOMAIN_LISTS, RuleTable::domain_lists) &&
              same(GH_TABLE_PORT_PERMITS, RuleTable::port_permits) &&
              same(GH_TABLE_TRAFFIC_RULES, RuleTable::traffic_rules) && same(GH_TABLE_SETTINGS, RuleTable::settings) &&
              same(GH_TABLE_ADMISSIONS, RuleTable::admissions));

gh_flow border_flow(const FlowFacts& facts, std::uint32_t flags) noexcept {
  gh_flow out{};
  out.struct_size = sizeof out;
  out.flags = flags | (facts.to_resolver ? GH_FLOW_RESOLVER : 0) | (facts.peer_asked ? GH_FLOW_PEER : 0) |
              (facts.domain.empty() ? 0 : GH_FLOW_NAMED);
  out.destination = to_border(facts.destination);
  out.domain = to_border(facts.domain);
  out.transport = static_cast<std::uint32_t>(facts.protocol);
  return out;
}

gh_verdict empty_verdict() noexcept {
  gh_verdict out{};
  out.struct_size = sizeof out;
  return out;
}

Verdict from_border(const gh_verdict& in) noexcept {
  return {in.action == GH_ACTION_ALLOW, static_cast<Reason>(in.reason), static_cast<RuleTable>(in.table), in.row,
          in.generation};
}

std::optional<Nanoseconds> time_of(std::uint64_t ns) noexcept {
  if (ns == UINT64_MAX) return {};
  return Nanoseconds(static_cast<std::int64_t>(std::min<std::uint64_t>(ns, INT64_MAX)));
}

}  // namespace

std::string row_text(const Verdict& verdict) {
  const std::string_view table = to_text(verdict.table);
  return table.empty() ? std::string() : std::string(table) + ' ' + std::to_string(verdict.row);
}

Judged<PolicyClient> PolicyClient::open(const LaneContext& context, const ClientFacts& facts) {
  gh_client_facts in{};
  in.struct_size = sizeof in;
  in.listener = facts.listener;
  in.source = to_border(facts.source);
  in.identity = to_border(facts.identity);
  in.session = facts.session;
  const gh_policy& policy = context.host.policy();
  gh_verdict why = empty_verdict();
  gh_client* const client = policy.client_open(policy.context, context.lane, &in, &why);
  if (client == nullptr) return from_border(why);
  return PolicyClient(policy, context.lane, client);
}

PolicyClient::PolicyClient(PolicyClient&& other) noexcept
    : policy_(other.policy_), lane_(other.lane_), client_(std::exchange(other.client_, nullptr)) {}

PolicyClient::~PolicyClient() {
  if (client_ != nullptr) policy_->client_close(policy_->context, lane_, client_);
}

Verdict PolicyClient::check(const FlowFacts& flow) const noexcept { return check(flow, 0); }

Verdict PolicyClient::check(const FlowFacts& flow, std::uint32_t more_flags) const noexcept {
  const gh_flow asked = border_flow(flow, more_flags);
  gh_verdict verdict = empty_verdict();
  policy_->check(policy_->context, lane_, client_, &asked, &verdict);
  return from_border(verdict);
}

Limits PolicyClient::limits() const noexcept {
  gh_limits in{};
  in.struct_size = sizeof in;
  policy_->limits(policy_->context, lane_, client_, &in);
  Limits out;
  out.metered = in.metered != 0;
  if (in.concurrent_flows != UINT64_MAX) out.concurrent_flows = in.concurrent_flows;
  out.udp_idle = time_of(in.udp_idle_ns);
  out.tcp_idle = time_of(in.tcp_idle_ns);
  out.session_idle = time_of(in.session_idle_ns);
  return out;
}

DnsLook PolicyClient::dns(const FlowFacts& flow) const noexcept {
  const gh_flow asked = border_flow(flow, 0);
  const std::uint32_t look = policy_->dns(policy_->context, lane_, client_, &asked);
  return {(look & GH_DNS_QUERIES) != 0, (look & GH_DNS_ANSWERS) != 0};
}

Judged<void> PolicyClient::open_flow(const FlowFacts& flow, SteadyTime now, Try which) const noexcept {
  const gh_flow asked = border_flow(flow, which == Try::first ? GH_FLOW_FIRST_TRY : 0);
  gh_verdict why = empty_verdict();
  if (policy_->flow_open(policy_->context, lane_, client_, &asked, to_ns(now), &why) != GH_OK) return from_border(why);
  return boost::system::in_place_value;
}

Result<void> claim_prefixes(const Host& host, std::span<const Prefix> prefixes) {
  std::vector<gh_prefix> given;
  for (const Prefix& prefix : prefixes) given.push_back(to_border(prefix));
  const gh_policy& policy = host.policy();
  const gh_status status = policy.claim(policy.context, given.data(), given.size());
  if (status < 0) return to_error(status);
  return boost::system::in_place_value;
}

Verdict judge_datagram(const PolicyClient& client, FlowFacts flow, Bytes payload) noexcept {
  if (!client.dns(flow).queries) return client.check(flow);
  const auto query = read_dns_query(payload);
  if (!query || query->opcode() != 0) return client.check(flow, GH_FLOW_BAD_NAME);  // an update asks no question
  Verdict verdict;
  for_each_question(*query, [&](std::string_view name, std::uint16_t, std::uint16_t) {
    flow.domain = name;
    verdict = client.check(flow, GH_FLOW_NAMED);
    return verdict.allowed;
  });
  return verdict;
}

Verdict judge_answer(const PolicyClient& client, FlowFacts flow, Bytes payload) noexcept {
  const auto response = read_dns_response(payload);
  if (!response) return client.check(flow, GH_FLOW_ANSWER | GH_FLOW_BAD_NAME);
  Verdict verdict{.allowed = true};  // of what leads nowhere
  for_each_target(*response, [&](std::string_view name) {
    flow.domain = name;
    verdict = client.check(flow, GH_FLOW_ANSWER | GH_FLOW_NAMED);
    return verdict.allowed;
  });
  return verdict;
}

}  // namespace gatehouse
