#include "gateway/conformance/watched_host.hpp"

#include <gatehouse/testkit/fake_host.hpp>

#include <algorithm>
#include <array>
#include <string_view>
#include <type_traits>
#include <utility>

namespace gatehouse::conformance {
namespace {

using enum CallTag;

constexpr HostFunction kFunctions[] = {
    {"gh.log/1.write"},
    {"gh.clock/1.monotonic_ns"},
    {"gh.clock/1.realtime_ns"},
    {"gh.random/1.fill", any, GH_E_IO},
    {"gh.metrics/1.cells", lane},  // null is for more than 64 bounds alone
    {"gh.policy/1.refresh", lane},
    {"gh.policy/1.client_open", lane, GH_E_DENIED},
    {"gh.policy/1.client_close", lane},
    {"gh.policy/1.limits", lane},
    {"gh.policy/1.check", lane},
    {"gh.policy/1.check_batch", lane},
    {"gh.policy/1.flow_open", lane, GH_E_LIMIT},
    {"gh.policy/1.flow_close", lane},
    {"gh.policy/1.charge", lane},
    {"gh.policy/1.claim", control, GH_E_INVALID},
    {"gh.policy/1.dns", lane},
    {"gh.identity/1.resolve", lane, GH_E_LIMIT},
    {"gh.identity/1.resolve_token", lane, GH_E_LIMIT},
    {"gh.certificates/1.get", lane, GH_E_NOT_FOUND},
    {"gh.sessions/1.open", lane, GH_E_LIMIT},
    {"gh.sessions/1.touch", lane, GH_E_NOT_FOUND},
    {"gh.sessions/1.end", lane, GH_E_NOT_FOUND},
    {"gh.sessions/1.lease", lane, GH_E_IN_DOUBT},
    {"gh.sessions/1.release", lane, GH_E_NOT_FOUND},
    {"gh.sessions/1.for_each", control, GH_E_IO},
    {"gh.sessions/1.find", lane, GH_E_NOT_FOUND},
    {"gh.sessions/1.adopt", lane, GH_E_STATE},
    {"gh.sessions/1.counts", lane, GH_E_NOT_FOUND},
    {"gh.ranges/1.get", any, GH_E_INVALID},
    {"gh.values/1.get", any, GH_E_IO},
    {"gh.values/1.put", any, GH_E_IO},
    {"gh.values/1.reserve", any, GH_E_IO},
    {"gh.fds/1.keep", any, GH_E_IO},
    {"gh.fds/1.take", any, GH_E_IO},
    {"gh.budget/1.ran_short"},
};

consteval std::size_t index_of(std::string_view name) {
  for (std::size_t i = 0; i < std::size(kFunctions); ++i)
    if (kFunctions[i].name == name) return i;
  throw "no such function";
}

template <class Table>
struct Face final : WatchedHost::FaceBase {
  Face(WatchedHost& host, const void* offered) : watched(host), real(*static_cast<const Table*>(offered)), own{real} {
    own.known.context = this;
    if (host.is_later()) own.known.struct_size = sizeof own;
    table = &own.known;
  }
  WatchedHost& watched;
  const Table real;
  testkit::Grown<Table> own;
};

template <class First, class... Rest>
gh_lane* lane_of(First first, Rest...) noexcept {
  if constexpr (std::is_same_v<First, gh_lane*>) return first;
  return nullptr;
}
inline gh_lane* lane_of() noexcept { return nullptr; }

/// The client behind the lane.
template <class Lane, class Second, class... Rest>
gh_client* client_of(Lane, Second second, Rest...) noexcept {
  static_assert(std::is_same_v<Second, gh_client*>);
  return second;
}

/// What a refusal leaves behind for its reader: the verdict, how long to wait, limits that let nothing through.
template <class Argument>
void fill_in(Argument out) noexcept {
  if constexpr (std::is_same_v<Argument, gh_verdict*>) {
    out->action = GH_ACTION_DENY;
    out->reason = GH_REASON_NEW_FLOW_RATE;
    out->table = GH_TABLE_TRAFFIC_RULES;
    out->row = 7;
  } else if constexpr (std::is_same_v<Argument, std::uint64_t*>) {
    *out = 1'000'000'000;
  } else if constexpr (std::is_same_v<Argument, gh_limits*>) {
    out->metered = 1;
    out->concurrent_flows = 0;
    out->udp_idle_ns = out->tcp_idle_ns = out->session_idle_ns = UINT64_MAX;
  }
}

/// The same of the verdicts of check_batch() behind the first one.
template <class... Arguments>
void fill_in_rest(Arguments...) noexcept {}
void fill_in_rest(gh_lane*, gh_client*, const gh_flow*, gh_verdict* out, std::size_t count) noexcept {
  for (std::size_t i = 1; i < count; ++i) fill_in(const_cast<gh_verdict*>(GH_NEXT(gh_verdict, out, i)));
}

template <std::size_t Index, auto Member>
struct Watched;
template <std::size_t Index, class Table, class Result, class... Arguments,
          Result (*Table::*Member)(void*, Arguments...)>
struct Watched<Index, Member> {
  static Result call(void* context, Arguments... arguments) noexcept {
    Face<Table>& face = *static_cast<Face<Table>*>(context);
    const bool fails = face.watched.enter(kFunctions[Index], lane_of(arguments...));
    if constexpr (kFunctions[Index].failure != 0) {
      if (fails) {
        (fill_in(arguments), ...);
        if constexpr (std::is_pointer_v<Result>) {
          return nullptr;
        } else {
          return kFunctions[Index].failure;
        }
      }
    }
    if constexpr (std::is_same_v<Result, gh_client*>) {
      return face.watched.opened((face.real.*Member)(face.real.context, arguments...), lane_of(arguments...));
    } else if constexpr ((std::is_same_v<Arguments, gh_client*> || ...)) {
      constexpr bool kCloses = Index == index_of(GH_POLICY_ID ".client_close");
      gh_client* const client =
          face.watched.find_client(kFunctions[Index], client_of(arguments...), lane_of(arguments...), kCloses);
      if (client == nullptr) return refuse(arguments...);
      return (face.real.*Member)(face.real.context, real(arguments, client)...);
    } else {
      return (face.real.*Member)(face.real.context, arguments...);
    }
  }

 private:
  template <class Argument>
  static Argument real(Argument argument, gh_client* client) noexcept {
    if constexpr (std::is_same_v<Argument, gh_client*>) return client;
    return argument;
  }
  /// What the gateway makes of a client that is not there.
  static Result refuse(Arguments... arguments) noexcept {
    (fill_in(arguments), ...);
    fill_in_rest(arguments...);
    if constexpr (std::is_same_v<Result, gh_status>) return GH_E_LIMIT;
    if constexpr (!std::is_void_v<Result>) return Result{};
  }
};

/// Log lines are looked at by nobody, and the fake host would keep each.
void drop_line(void* context, std::int32_t, gh_bytes, const gh_log_field*, std::size_t) noexcept {
  static_cast<Face<gh_log>*>(context)->watched.enter(kFunctions[index_of("gh.log/1.write")], nullptr);
}

#define WATCH(TABLE, ID, FUNCTION) table.FUNCTION = Watched<index_of(ID "." #FUNCTION), &TABLE::FUNCTION>::call

void watch(gh_log& table) { table.write = drop_line; }
void watch(gh_clock& table) {
  WATCH(gh_clock, GH_CLOCK_ID, monotonic_ns);
  WATCH(gh_clock, GH_CLOCK_ID, realtime_ns);
}
void watch(gh_random& table) { WATCH(gh_random, GH_RANDOM_ID, fill); }
void watch(gh_metrics& table) { WATCH(gh_metrics, GH_METRICS_ID, cells); }
void watch(gh_policy& table) {
  WATCH(gh_policy, GH_POLICY_ID, refresh);
  WATCH(gh_policy, GH_POLICY_ID, client_open);
  WATCH(gh_policy, GH_POLICY_ID, client_close);
  WATCH(gh_policy, GH_POLICY_ID, limits);
  WATCH(gh_policy, GH_POLICY_ID, check);
  WATCH(gh_policy, GH_POLICY_ID, check_batch);
  WATCH(gh_policy, GH_POLICY_ID, flow_open);
  WATCH(gh_policy, GH_POLICY_ID, flow_close);
  WATCH(gh_policy, GH_POLICY_ID, charge);
  WATCH(gh_policy, GH_POLICY_ID, claim);
  WATCH(gh_policy, GH_POLICY_ID, dns);
}
void watch(gh_identity& table) {
  WATCH(gh_identity, GH_IDENTITY_ID, resolve);
  WATCH(gh_identity, GH_IDENTITY_ID, resolve_token);
}
void watch(gh_certificates& table) { WATCH(gh_certificates, GH_CERTIFICATES_ID, get); }
void watch(gh_sessions& table) {
  WATCH(gh_sessions, GH_SESSIONS_ID, open);
  WATCH(gh_sessions, GH_SESSIONS_ID, touch);
  WATCH(gh_sessions, GH_SESSIONS_ID, end);
  WATCH(gh_sessions, GH_SESSIONS_ID, lease);
  WATCH(gh_sessions, GH_SESSIONS_ID, release);
  WATCH(gh_sessions, GH_SESSIONS_ID, for_each);
  WATCH(gh_sessions, GH_SESSIONS_ID, find);
  WATCH(gh_sessions, GH_SESSIONS_ID, adopt);
  WATCH(gh_sessions, GH_SESSIONS_ID, counts);
}
void watch(gh_ranges& table) { WATCH(gh_ranges, GH_RANGES_ID, get); }
void watch(gh_values& table) {
  WATCH(gh_values, GH_VALUES_ID, get);
  WATCH(gh_values, GH_VALUES_ID, put);
  WATCH(gh_values, GH_VALUES_ID, reserve);
}
void watch(gh_fds& table) {
  WATCH(gh_fds, GH_FDS_ID, keep);
  WATCH(gh_fds, GH_FDS_ID, take);
}
void watch(gh_budget& table) { WATCH(gh_budget, GH_BUDGET_ID, ran_short); }
#undef WATCH

template <class Table>
std::unique_ptr<WatchedHost::FaceBase> wrap(WatchedHost& host, const void* offered) {
  auto face = std::make_unique<Face<Table>>(host, offered);
  watch(face->own.known);
  return face;
}

using Wrap = std::unique_ptr<WatchedHost::FaceBase> (*)(WatchedHost&, const void*);
constexpr std::pair<std::string_view, Wrap> kWraps[] = {
    {GH_LOG_ID, wrap<gh_log>},           {GH_CLOCK_ID, wrap<gh_clock>},
    {GH_RANDOM_ID, wrap<gh_random>},     {GH_METRICS_ID, wrap<gh_metrics>},
    {GH_POLICY_ID, wrap<gh_policy>},     {GH_IDENTITY_ID, wrap<gh_identity>},
    {GH_SESSIONS_ID, wrap<gh_sessions>}, {GH_CERTIFICATES_ID, wrap<gh_certificates>},
    {GH_RANGES_ID, wrap<gh_ranges>},     {GH_VALUES_ID, wrap<gh_values>},
    {GH_FDS_ID, wrap<gh_fds>},           {GH_BUDGET_ID, wrap<gh_budget>},
};

}  // namespace

std::span<const HostFunction> host_functions() noexcept { return kFunctions; }

WatchedHost::WatchedHost(Notes& notes) : notes_(notes) {}
WatchedHost::~WatchedHost() = default;

std::set<std::string> WatchedHost::called() const {
  const std::scoped_lock lock(mutex_);
  return called_;
}

const void* WatchedHost::get(const char* id, const void* offered) {
  if (offered == nullptr || withheld_ == id) return nullptr;
  const auto* const wrap =
      std::find_if(std::begin(kWraps), std::end(kWraps), [id](auto& one) { return one.first == id; });
  if (wrap == std::end(kWraps)) return offered;
  const std::scoped_lock lock(mutex_);
  auto& face = faces_[{wrap->first, offered}];
  if (!face) face = wrap->second(*this, offered);
  return face->table;
}

void WatchedHost::lane_begins(const gh_lane& lane) {
  const std::scoped_lock lock(mutex_);
  lanes_[std::this_thread::get_id()] = &lane;
}

std::string WatchedHost::why_wrong(const HostFunction& function, const gh_lane* lane) const {
  if (function.tag == any) return {};
  const auto caller = std::this_thread::get_id();
  const auto found = lanes_.find(caller);
  if (function.tag == control) {
    if (caller == control_) return {};
    return found != lanes_.end() ? " is [control], and was called by a lane"
                                 : " is [control], and was called by another thread";
  }
  if (caller == control_) return " is [lane], and was called by the control thread";
  if (found == lanes_.end()) return " is [lane], and was called by a thread that is none";
  return found->second == lane ? "" : " was called with another lane than the one that runs there";
}

bool WatchedHost::enter(const HostFunction& function, const gh_lane* lane) {
  const std::scoped_lock lock(mutex_);
  const std::string name(function.name);
  called_.insert(name);
  if (const std::string why = why_wrong(function, lane); !why.empty() && wrong_.insert(name + why).second)
    notes_.found("wrong_thread", name + why);
  if (has_failed_ || name != failing_) return false;
  has_failed_ = true;
  return true;
}

gh_client* WatchedHost::opened(gh_client* real, const gh_lane* lane) {
  if (real == nullptr) return nullptr;
  const std::scoped_lock lock(mutex_);
  clients_[++last_client_] = {real, lane};
  return reinterpret_cast<gh_client*>(last_client_);
}

gh_client* WatchedHost::find_client(const HostFunction& function, gh_client* client, const gh_lane* lane, bool closes) {
  const auto handle = reinterpret_cast<std::uintptr_t>(client);
  const std::scoped_lock lock(mutex_);
  const auto found = clients_.find(handle);
  if (found != clients_.end() && found->second.lane == lane) {
    gh_client* const real = found->second.real;
    if (closes) clients_.erase(found);
    return real;
  }
  const bool was_open = handle != 0 && handle <= last_client_;
  const std::string why = found != clients_.end() ? " was called with a client of another lane"
                          : was_open              ? " was called with a client that was closed before"
                                                  : " was called with a client that was never opened";
  const std::string name(function.name);
  if (wrong_.insert(name + why).second) notes_.found("strange_client", name + why);
  return nullptr;
}

}  // namespace gatehouse::conformance
