#include <gatehouse/plugin/policy_client.hpp>

#include <gatehouse/net/dns_message.hpp>

namespace gatehouse {

std::string_view reason_text(std::uint32_t reason) noexcept {
  switch (reason) {
    case GH_REASON_NONE: return "none";
    case GH_REASON_HARD_DENY: return "hard_deny";
    case GH_REASON_BOGON: return "bogon";
    case GH_REASON_UNWRAPPED: return "unwrapped";
    case GH_REASON_DOMAIN: return "domain";
    case GH_REASON_DNS_MALFORMED: return "dns_malformed";
    case GH_REASON_PORT_PERMIT: return "port_permit";
    case GH_REASON_DEFAULT: return "default";
    case GH_REASON_RESOLVER: return "resolver";
    case GH_REASON_PEER: return "peer";
    case GH_REASON_NO_POLICY: return "no_policy";
    case GH_REASON_CONCURRENT_FLOWS: return "concurrent_flows";
    case GH_REASON_NEW_FLOW_RATE: return "new_flow_rate";
    case GH_REASON_DESTINATIONS: return "destinations";
    case GH_REASON_RATE: return "rate";
    case GH_REASON_QUOTA: return "quota";
    case GH_REASON_CONCURRENT_SESSIONS: return "concurrent_sessions";
    case GH_REASON_LOCAL: return "local";
    case GH_REASON_ADMISSION: return "admission";
    default: return "other";
  }
}

std::string row_text(const gh_verdict& verdict) {
  static constexpr std::string_view kTables[] = {
      "", "domain_rules", "domain_lists", "port_permits", "traffic_rules", "settings", "admissions"};
  if (verdict.table == GH_TABLE_NONE || verdict.table >= std::size(kTables)) return {};
  return std::string(kTables[verdict.table]) + ' ' + std::to_string(verdict.row);
}

gh_flow make_flow(std::uint32_t transport, const Endpoint& destination, std::uint32_t flags,
                  std::string_view domain) noexcept {
  gh_flow flow{};
  flow.struct_size = sizeof flow;
  flow.flags = flags;
  flow.destination = to_border(destination);
  flow.domain = to_border(domain);
  flow.transport = transport;
  return flow;
}

std::optional<PolicyClient> PolicyClient::open(const Host& host, gh_lane* lane, const ClientFacts& facts,
                                               gh_verdict& why) {
  gh_client_facts in{};
  in.struct_size = sizeof in;
  in.listener = facts.listener;
  in.source = to_border(facts.source);
  in.identity = to_border(facts.identity);
  in.session = facts.session;
  const gh_policy& policy = host.policy();
  gh_client* const client = policy.client_open(policy.context, lane, &in, &why);
  if (client == nullptr) return {};
  return PolicyClient(policy, lane, client);
}

PolicyClient::PolicyClient(PolicyClient&& other) noexcept
    : policy_(other.policy_), lane_(other.lane_), client_(std::exchange(other.client_, nullptr)) {}

PolicyClient::~PolicyClient() {
  if (client_ != nullptr) policy_->client_close(policy_->context, lane_, client_);
}

gh_limits PolicyClient::limits() const noexcept {
  gh_limits out{};
  out.struct_size = sizeof out;
  policy_->limits(policy_->context, lane_, client_, &out);
  return out;
}

gh_status PolicyClient::open_flow(const gh_flow& flow, SteadyTime now, gh_verdict& why) const noexcept {
  return policy_->flow_open(policy_->context, lane_, client_, &flow, to_ns(now), &why);
}

gh_verdict judge_datagram(const PolicyClient& client, gh_flow flow, Bytes payload) noexcept {
  if (!is_dns_flow(flow)) return client.check(flow);
  const auto query = read_dns_query(payload);
  if (!query || query->opcode() != 0) {  // an update or a notification asks no question
    flow.flags |= GH_FLOW_BAD_NAME;
    return client.check(flow);
  }
  gh_verdict verdict{};
  flow.flags |= GH_FLOW_NAMED;
  for_each_question(*query, [&](std::string_view name, std::uint16_t, std::uint16_t) {
    flow.domain = to_border(name);
    verdict = client.check(flow);
    return verdict.action == GH_ACTION_ALLOW;
  });
  return verdict;
}

}  // namespace gatehouse
