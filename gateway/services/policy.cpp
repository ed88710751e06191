#include "gateway/services/policy.hpp"

#include "gateway/base/guarded.hpp"
#include "gateway/base/lane.hpp"
#include "gateway/policy/judged_client.hpp"

#include <gatehouse/plugin/border.hpp>

namespace gatehouse {
namespace {

using policy::Flow;
using policy::Limit;
using policy::Reason;
using policy::Table;
using policy::Verdict;

// The engine's numbers are the border's.
static_assert(GH_ACTION_ALLOW == static_cast<int>(policy::Action::allow));
static_assert(GH_FLOW_RESOLVER == policy::kFlowResolver && GH_FLOW_PEER == policy::kFlowPeer);
static_assert(GH_FLOW_NAMED == policy::kFlowNamed && GH_FLOW_BAD_NAME == policy::kFlowBadName);
static_assert(GH_FLOW_ANSWER == policy::kFlowAnswer);
static_assert(GH_UP == static_cast<int>(policy::Direction::up) && GH_DOWN == static_cast<int>(policy::Direction::down));
static_assert(sizeof(std::atomic<std::uint64_t>) == sizeof(std::uint64_t), "plugins read the generation as a number");
static_assert(policy::kNoMore == UINT64_MAX);

IpAddress address_of(const gh_endpoint& endpoint) noexcept { return from_border(endpoint).address; }

/// Nothing for what is no prefix, or would be the whole Internet.
std::optional<Prefix> prefix_of(const gh_prefix& prefix) noexcept {
  gh_endpoint endpoint{};
  std::copy(std::begin(prefix.bytes), std::end(prefix.bytes), endpoint.bytes);
  endpoint.family = prefix.family;
  const IpAddress address = address_of(endpoint);
  if (address.family() == Family::none || address.unmapped() != address) return {};
  if (prefix.length == 0 || prefix.length > address.bits()) return {};
  return Prefix(address, prefix.length);
}

static_assert(sizeof(gh_client*) == sizeof(LaneClients::Handle), "plugins have the handle as a pointer");
constexpr std::uint64_t kUntilMeters = 100'000'000;  // ns that a client without meters waits, and asks again

LaneClients::Handle handle_of(gh_client* client) noexcept { return reinterpret_cast<LaneClients::Handle>(client); }

PolicyLane& lane_of(gh_lane* lane) noexcept { return *HostLane::of(lane).policy; }

Flow flow_of(const gh_flow& flow) noexcept {
  return {address_of(flow.destination), flow.destination.port, flow.transport, flow.flags, from_border(flow.domain)};
}

void write(const Verdict& verdict, gh_verdict* out) noexcept {
  out->action = static_cast<std::uint16_t>(verdict.action);
  out->reason = static_cast<std::uint16_t>(verdict.reason);
  out->table = static_cast<std::uint32_t>(verdict.table);
  out->row = verdict.row;
  out->generation = verdict.generation;
}

/// As gh_limits has it: no rule says = UINT64_MAX.
std::uint64_t border_limit(const Limit& first, const Limit& second = {}) noexcept {
  return first.value.value_or(second.value.value_or(UINT64_MAX));
}

std::uint64_t border_ns(const Limit& session, const Limit& identity) noexcept {
  constexpr std::uint64_t kSecond = 1'000'000'000;
  const std::uint64_t seconds = border_limit(session, identity);
  return seconds > (UINT64_MAX - 1) / kSecond ? UINT64_MAX : seconds * kSecond;
}

/// Which column of traffic_rules refuses a flow, and how that is called at the border.
struct Refusal {
  Reason reason;
  Limit policy::ScopeLimits::*limit;
};
Refusal column_of(policy::FlowRefusal refusal) noexcept {
  using policy::FlowRefusal;
  using policy::ScopeLimits;
  switch (refusal) {
    case FlowRefusal::quota: return {Reason::quota, &ScopeLimits::quota_bytes};
    case FlowRefusal::destinations: return {Reason::destinations, &ScopeLimits::destinations_per_minute};
    case FlowRefusal::new_flow_rate: return {Reason::new_flow_rate, &ScopeLimits::new_flows_per_second};
    case FlowRefusal::concurrent_flows:
    case FlowRefusal::none: break;
  }
  return {Reason::concurrent_flows, &ScopeLimits::concurrent_flows};
}

Verdict not_admitted(std::int64_t row, std::uint64_t generation) noexcept {
  return {policy::Action::deny, Reason::admission, Table::admissions, row, generation};
}

/// For want of memory, or of a client that is open on this lane: no row says so.
Verdict refused(std::uint64_t generation) noexcept {
  return {policy::Action::deny, Reason::none, Table::none, 0, generation};
}

}  // namespace

PolicyLane::PolicyLane(std::shared_ptr<SnapshotBoard> board, std::shared_ptr<LaneRecord> record,
                       std::shared_ptr<FlowLane> flows)
    : view_(std::move(board)), record_(std::move(record)), flows_(std::move(flows)) {}
PolicyLane::~PolicyLane() {
  record_->end();
  flows_->end();
}

/// The meters that they share hang on the address as the policy of the day has it, and may have found no place before.
std::shared_ptr<AlikeClients> PolicyLane::alike(JudgedFacts&& facts, SnapshotBoard& board, KeyMeters& keys) {
  auto shared = keys.open(facts.identity, snapshot().canonical(facts.source));
  auto out = last_.lock();
  if (out && out->shared() == shared.get() && out->facts() == facts) return out;
  out = std::make_shared<AlikeClients>(board, std::move(facts), std::move(shared));
  last_ = out;
  return out;
}

void PolicyLane::refuse(const Verdict& verdict, gh_verdict* out) const noexcept {
  record_->count(verdict);
  write(verdict, out);
}

PluginPolicy::PluginPolicy(std::shared_ptr<SnapshotBoard> board, std::shared_ptr<KeyMeters> keys, Spec spec)
    : board_(std::move(board)),
      keys_(std::move(keys)),
      spec_(std::move(spec)),
      table_{.struct_size = sizeof(gh_policy),
             .reserved = 0,
             .context = this,
             .generation = reinterpret_cast<const std::uint64_t*>(&board_->generation()),
             .refresh = &PluginPolicy::refresh,
             .client_open = &PluginPolicy::client_open,
             .client_close = &PluginPolicy::client_close,
             .limits = &PluginPolicy::limits,
             .check = &PluginPolicy::check,
             .check_batch = &PluginPolicy::check_batch,
             .flow_open = &PluginPolicy::flow_open,
             .flow_close = &PluginPolicy::flow_close,
             .charge = &PluginPolicy::charge,
             .claim = &PluginPolicy::claim,
             .dns = &PluginPolicy::dns} {}

std::unique_ptr<PolicyLane> PluginPolicy::make_lane() const {
  return std::make_unique<PolicyLane>(
      board_, spec_.records ? spec_.records->open(spec_.plugin) : std::make_shared<LaneRecord>(),
      spec_.flow_log ? spec_.flow_log->open_lane(spec_.plugin) : std::make_shared<FlowLane>(spec_.plugin));
}

/// The client in the lane's generation. Null for one that was closed, or is of another lane: the plugin's error, of
/// which the host makes a refusal, and which is counted.
JudgedClient* PluginPolicy::client_of(gh_lane* lane, gh_client* client) noexcept {
  PolicyLane& mine = lane_of(lane);
  JudgedClient* const out = mine.clients_.at(handle_of(client));
  if (out == nullptr) [[unlikely]] {
    mine.record_->count_strange_client();
    return nullptr;
  }
  out->resolve(mine.view_.published());
  return out;
}

std::uint64_t PluginPolicy::refresh(void*, gh_lane* lane) noexcept { return lane_of(lane).view_.refresh(); }

gh_client* PluginPolicy::open(PolicyLane& lane, const gh_client_facts& facts, gh_verdict* verdict) {
  const policy::Snapshot& snapshot = lane.view_.snapshot();
  JudgedFacts known{
      spec_.plugin, spec_.allow_local, {}, std::string(from_border(facts.identity)), address_of(facts.source), this};
  if (spec_.listener_names && facts.listener != UINT32_MAX)
    known.listener = spec_.listener_names->name_of(spec_.plugin, facts.listener);
  auto session =
      facts.session != 0 && spec_.sessions ? spec_.sessions->meters_of(spec_.plugin, facts.session) : nullptr;
  if (!session) session.reset(new SessionMeters);
  const auto handle = lane.clients_.open(lane.alike(std::move(known), *board_, *keys_), std::move(session));
  const auto remove = [&lane, handle](JudgedClient*) { lane.clients_.close(handle); };
  std::unique_ptr<JudgedClient, decltype(remove)> client(lane.clients_.at(handle), remove);
  client->resolve(lane.view_.published());
  if (client->refused_by()) {
    lane.refuse(not_admitted(*client->refused_by(), snapshot.generation()), verdict);
    return nullptr;
  }
  if (abandoned_) {
    lane.refuse(refused(snapshot.generation()), verdict);
    return nullptr;
  }
  if (client->lacks_meters()) throw std::bad_alloc();
  if (const Limit* const limit = client->begin_session(snapshot.limits(client->group()))) {
    lane.refuse(
        {policy::Action::deny, Reason::concurrent_sessions, Table::traffic_rules, limit->row, snapshot.generation()},
        verdict);
    return nullptr;
  }
  if (abandoned_) client->end_session();  // that came in between
  if (spec_.sessions && facts.session != 0) account(snapshot, *client, facts);
  static_cast<void>(client.release());
  return reinterpret_cast<gh_client*>(handle);
}

/// The address of a client without an identity is written down only where a quota goes by it.
void PluginPolicy::account(const policy::Snapshot& snapshot, const JudgedClient& client,
                           const gh_client_facts& facts) const {
  const std::string_view identity = from_border(facts.identity);
  const bool has_quota = snapshot.limits(client.group()).identity.quota_bytes.or_none() != 0;
  const std::string payer =
      identity.empty() && !has_quota ? "" : KeyMeters::key_text(identity, snapshot.canonical(address_of(facts.source)));
  spec_.sessions->account(facts.session, snapshot.group(client.group()).name, payer);
}

gh_client* PluginPolicy::client_open(void* context, gh_lane* lane, const gh_client_facts* facts,
                                     gh_verdict* verdict) noexcept {
  PluginPolicy& self = *static_cast<PluginPolicy*>(context);
  PolicyLane& mine = lane_of(lane);
  const std::uint64_t generation = mine.view_.snapshot().generation();
  if (facts->struct_size < GH_SIZE_1_0(gh_client_facts) || verdict->struct_size < GH_SIZE_1_0(gh_verdict))
    return nullptr;
  write({policy::Action::allow, Reason::none, Table::none, 0, generation}, verdict);
  const auto open = [&]() -> std::optional<gh_client*> { return self.open(mine, *facts, verdict); };
  const std::optional<gh_client*> opened = guarded(open, {});
  if (!opened) mine.refuse(refused(generation), verdict);
  return opened.value_or(nullptr);
}

void PluginPolicy::client_close(void*, gh_lane* lane, gh_client* client) noexcept {
  PolicyLane& mine = lane_of(lane);
  if (!mine.clients_.close(handle_of(client))) mine.record_->count_strange_client();
}

void PluginPolicy::limits(void*, gh_lane* lane, gh_client* client, gh_limits* out) noexcept {
  if (out->struct_size < GH_SIZE_1_0(gh_limits)) return;
  const JudgedClient* const of = client_of(lane, client);
  if (of == nullptr) {
    out->metered = 1;
    out->concurrent_flows = 0;
    out->udp_idle_ns = out->tcp_idle_ns = out->session_idle_ns = UINT64_MAX;
    return;
  }
  const policy::Limits& limits = lane_of(lane).view_.snapshot().limits(of->group());
  out->metered = of->is_metered() ? 1 : 0;
  out->concurrent_flows = border_limit(limits.session.concurrent_flows);
  out->udp_idle_ns = border_ns(limits.session.udp_idle_seconds, limits.identity.udp_idle_seconds);
  out->tcp_idle_ns = border_ns(limits.session.tcp_idle_seconds, limits.identity.tcp_idle_seconds);
  out->session_idle_ns = border_ns(limits.session.session_idle_seconds, limits.identity.session_idle_seconds);
}

void PluginPolicy::check(void* context, gh_lane* lane, gh_client* client, const gh_flow* flow,
                         gh_verdict* out) noexcept {
  check_batch(context, lane, client, flow, out, 1);
}

void PluginPolicy::check_batch(void*, gh_lane* lane, gh_client* client, const gh_flow* flows, gh_verdict* out,
                               std::size_t count) noexcept {
  const PolicyLane& mine = lane_of(lane);
  const policy::Snapshot& snapshot = mine.view_.snapshot();
  const JudgedClient* const known = client_of(lane, client);
  FlowLane::Ring* const flow_log = mine.flows_->ring();
  policy::SideHits hits;
  if (count == 0 || flows->struct_size < GH_SIZE_1_0(gh_flow) || out->struct_size < GH_SIZE_1_0(gh_verdict)) return;
  if (known == nullptr) {
    for (std::size_t i = 0; i < count; ++i)
      mine.refuse(refused(snapshot.generation()), const_cast<gh_verdict*>(GH_NEXT(gh_verdict, out, i)));
    return;
  }
  const JudgedClient& of = *known;
  for (std::size_t i = 0; i < count; ++i) {
    const Flow flow = flow_of(*GH_NEXT(gh_flow, flows, i));
    const Verdict verdict = of.refused_by() ? not_admitted(*of.refused_by(), snapshot.generation())
                                            : snapshot.judge(of.standing(), flow, hits);
    const bool is_answer = (flow.flags & policy::kFlowAnswer) != 0;
    if (!is_answer || !verdict.allowed()) mine.record_->count(verdict);
    if (hits.any() || verdict.table == Table::domain_lists) mine.record_->tell(verdict, hits, flow, of.source());
    if (flow_log != nullptr && !(is_answer && verdict.allowed())) [[unlikely]]
      FlowLane::write(*flow_log, verdict, flow, of.source(), of.identity());
    write(verdict, const_cast<gh_verdict*>(GH_NEXT(gh_verdict, out, i)));
  }
}

gh_status PluginPolicy::flow_open(void* context, gh_lane* lane, gh_client* client, const gh_flow* flow,
                                  std::uint64_t now_ns, gh_verdict* out) noexcept {
  if (flow->struct_size < GH_SIZE_1_0(gh_flow) || out->struct_size < GH_SIZE_1_0(gh_verdict)) return GH_E_INVALID;
  PluginPolicy& self = *static_cast<PluginPolicy*>(context);
  JudgedClient* const known = client_of(lane, client);
  const PolicyLane& mine = lane_of(lane);
  const policy::Snapshot& snapshot = mine.view_.snapshot();
  if (known == nullptr || known->lacks_meters()) {
    mine.refuse(refused(snapshot.generation()), out);
    return GH_E_LIMIT;
  }
  JudgedClient& of = *known;
  const std::uint64_t destination =
      of.counts_destinations() ? self.keys_->hash_of(snapshot.canonical(address_of(flow->destination))) : 0;
  const policy::FlowOpening opening = of.open_flow(destination, {now_ns, self.board_->calendar().periods()});
  if (opening.refusal == policy::FlowRefusal::none) return GH_OK;
  const policy::Limits& limits = snapshot.limits(of.group());
  const policy::ScopeLimits& scope = opening.link == 0 ? limits.session : limits.identity;
  const Refusal refusal = column_of(opening.refusal);
  const Verdict verdict{policy::Action::deny, refusal.reason, Table::traffic_rules, (scope.*refusal.limit).row,
                        snapshot.generation()};
  if (refusal.reason == Reason::concurrent_flows && (flow->flags & GH_FLOW_FIRST_TRY) != 0) {
    write(verdict, out);
    return GH_E_LIMIT;
  }
  if (FlowLane::Ring* const flow_log = mine.flows_->ring())
    FlowLane::write(*flow_log, verdict, flow_of(*flow), of.source(), of.identity());
  mine.refuse(verdict, out);
  return GH_E_LIMIT;
}

void PluginPolicy::flow_close(void*, gh_lane* lane, gh_client* client) noexcept {
  PolicyLane& mine = lane_of(lane);
  if (JudgedClient* const of = mine.clients_.at(handle_of(client)))
    of->close_flow();
  else
    mine.record_->count_strange_client();
}

std::uint64_t PluginPolicy::charge(void* context, gh_lane* lane, gh_client* client, std::uint32_t direction,
                                   std::uint64_t packets, std::uint64_t want, std::uint64_t least, std::uint64_t now_ns,
                                   std::uint64_t* wait_ns) noexcept {
  PluginPolicy& self = *static_cast<PluginPolicy*>(context);
  const JudgedClient* const known = client_of(lane, client);
  *wait_ns = known == nullptr ? policy::kNoMore : 0;
  if (known == nullptr) return 0;
  const JudgedClient& of = *known;
  if (!of.is_metered()) return want;
  if (of.lacks_meters()) [[unlikely]] {
    *wait_ns = kUntilMeters;
    return 0;
  }
  const policy::Grant grant =
      policy::charge_all(of.chain(), direction == GH_UP ? policy::Direction::up : policy::Direction::down,
                         {packets, want, least}, {now_ns, self.board_->calendar().periods()});
  *wait_ns = grant.wait;
  return grant.bytes;
}

gh_status PluginPolicy::claim(void* context, const gh_prefix* prefixes, std::size_t count) noexcept {
  PluginPolicy& self = *static_cast<PluginPolicy*>(context);
  if (!self.spec_.claims) return GH_E_UNSUPPORTED;
  if (count > PlaceClaims::kMost) return GH_E_INVALID;
  return guarded([&]() -> gh_status {
    std::vector<Prefix> claims;
    for (const gh_prefix& prefix : std::span(prefixes, count)) {
      const auto read = prefix_of(prefix);
      if (!read) return GH_E_INVALID;
      claims.push_back(*read);
    }
    self.spec_.claims->set(&self, self.spec_.plugin, claims);
    return GH_OK;
  });
}

std::uint32_t PluginPolicy::dns(void*, gh_lane* lane, gh_client* client, const gh_flow* flow) noexcept {
  if (flow->struct_size < GH_SIZE_1_0(gh_flow)) return 0;
  const policy::Snapshot& snapshot = lane_of(lane).view_.snapshot();
  if ((flow->flags & GH_FLOW_RESOLVER) == 0 && !snapshot.is_dns_port(flow->destination.port)) return 0;
  const JudgedClient* const of = client_of(lane, client);
  const bool judges_answers = of == nullptr || snapshot.judges_answers(of->group());
  return judges_answers ? GH_DNS_QUERIES | GH_DNS_ANSWERS : GH_DNS_QUERIES;
}

void PluginPolicy::abandoned() noexcept {
  abandoned_ = true;
  board_->end_sessions_of(this);
  if (spec_.claims) spec_.claims->orphan(this);
}

void PluginPolicy::let_go() noexcept {
  if (spec_.claims) spec_.claims->drop(this);
}

}  // namespace gatehouse
