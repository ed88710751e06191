#include <gatehouse/testkit/fake_host.hpp>

#include <gatehouse/plugin/host.hpp>

#include <fcntl.h>
#include <sys/random.h>

#include <algorithm>
#include <cstring>

namespace gatehouse::testkit {
namespace {

FakeHost& self(void* context) noexcept { return *static_cast<FakeHost*>(context); }

}  // namespace

/// The tables, and the functions behind them.
struct FakeHost::Services {
  explicit Services(FakeHost& host);

  static const void* get(void* context, const char* id) {
    const Instance& instance = *static_cast<Instance*>(context);
    const void* const offered = find(instance, id);
    HostInterposer* const between = instance.host_.interposer_;
    return between == nullptr ? offered : between->get(id, offered);
  }
  static const void* find(const Instance& instance, const char* id) {
    if (std::string_view(id) == GH_SESSIONS_ID) return instance.store_->sessions();
    if (std::string_view(id) == GH_VALUES_ID) return instance.store_->values();
    const auto found = instance.host_.interfaces_.find(id);
    return found == instance.host_.interfaces_.end() ? nullptr : found->second;
  }

  static void write(void* context, std::int32_t, gh_bytes event, const gh_log_field* fields, std::size_t count) {
    std::string line(from_border(event));
    for (const gh_log_field& field : std::span(fields, count))
      line += ' ' + std::string(from_border(field.key)) + '=' + std::string(from_border(field.value));
    const std::scoped_lock lock(self(context).mutex_);
    self(context).log_.push_back(std::move(line));
  }

  static std::uint64_t monotonic(void*) { return to_ns(steady_now()); }
  static std::uint64_t realtime(void* context) {
    const auto now = std::chrono::system_clock::now() + std::chrono::seconds(self(context).ahead_);
    return static_cast<std::uint64_t>(now.time_since_epoch() / std::chrono::nanoseconds(1));
  }
  static gh_status fill(void*, std::uint8_t* out, std::size_t size) {
    return getrandom(out, size, 0) == static_cast<ssize_t>(size) ? GH_OK : GH_E_IO;
  }

  static std::uint64_t* cells(void* context, gh_lane* lane, const gh_metric* metric) {
    std::string name(from_border(metric->name));
    for (const gh_metric_label& label : std::span(metric->labels, metric->label_count))
      name += (&label == metric->labels ? '{' : ',') + std::string(from_border(label.name)) + "=\"" +
              std::string(from_border(label.value)) + '"';
    if (metric->label_count != 0) name += '}';
    const std::scoped_lock lock(self(context).mutex_);
    auto& lanes = self(context).series_[name].lanes;
    if (lanes.size() <= lane->index) lanes.resize(lane->index + 1);
    if (!lanes[lane->index]) lanes[lane->index] = std::make_unique<std::uint64_t[]>(metric->bound_count + 2);
    return lanes[lane->index].get();
  }

  struct Client {
    std::uint64_t flows = 0;
  };
  static std::uint64_t newest(FakeHost& host) {
    return std::atomic_ref(host.generation_).load(std::memory_order_acquire);
  }
  static const Policy& policy(FakeHost& host) {
    const std::scoped_lock lock(host.mutex_);
    return host.policies_.back();
  }
  static std::uint64_t refresh(void* context, gh_lane*) { return newest(self(context)); }
  static bool refused(FakeHost& host, std::uint16_t reason, gh_verdict* out) {
    if (reason == 0) return false;
    *out = {sizeof *out, GH_ACTION_DENY, reason, GH_TABLE_TRAFFIC_RULES, 0, 7, newest(host)};
    return true;
  }
  static gh_client* client_open(void* context, gh_lane*, const gh_client_facts* facts, gh_verdict* out) {
    self(context).last_client_session_ = facts->session;
    const auto& open = policy(self(context)).traffic.open_client;
    if (open && refused(self(context), open(), out)) return nullptr;
    ++self(context).clients_;
    return reinterpret_cast<gh_client*>(new Client);
  }
  static void client_close(void* context, gh_lane*, gh_client* client) {
    --self(context).clients_;
    delete reinterpret_cast<Client*>(client);
  }
  static void limits(void* context, gh_lane*, gh_client*, gh_limits* out) {
    const std::uint32_t size = out->struct_size;
    *out = policy(self(context)).limits;
    out->struct_size = size;
  }
  static void check(void* context, gh_lane*, gh_client*, const gh_flow* flow, gh_verdict* out) {
    const std::uint32_t size = out->struct_size;
    *out = {};
    out->struct_size = size;
    out->generation = newest(self(context));
    out->action = GH_ACTION_ALLOW;
    const Policy& present = policy(self(context));
    if (!present.judge) return;
    out->reason = present.judge(
        {from_border(flow->destination), flow->transport, flow->flags, std::string(from_border(flow->domain))});
    if (out->reason != 0) out->action = GH_ACTION_DENY;
  }
  static void check_batch(void* context, gh_lane* lane, gh_client* client, const gh_flow* flows, gh_verdict* out,
                          std::size_t count) {
    for (std::size_t i = 0; i < count; ++i)
      check(context, lane, client, GH_NEXT(gh_flow, flows, i), const_cast<gh_verdict*>(GH_NEXT(gh_verdict, out, i)));
  }
  static gh_status flow_open(void* context, gh_lane*, gh_client* client, const gh_flow* flow, std::uint64_t,
                             gh_verdict* out) {
    const auto& open = policy(self(context)).traffic.open_flow;
    if (open && refused(self(context), open(from_border(flow->destination)), out)) return GH_E_LIMIT;
    ++self(context).flows_;
    ++reinterpret_cast<Client*>(client)->flows;
    return GH_OK;
  }
  static void flow_close(void* context, gh_lane*, gh_client* client) {
    --self(context).flows_;
    --reinterpret_cast<Client*>(client)->flows;
  }
  static std::uint64_t charge(void* context, gh_lane*, gh_client*, std::uint32_t direction, std::uint64_t packets,
                              std::uint64_t want, std::uint64_t least, std::uint64_t, std::uint64_t* wait_ns) {
    const auto& rule = policy(self(context)).traffic.charge;
    const Grant grant = rule ? rule(direction, packets, want, least) : Grant{want, 0};
    *wait_ns = grant.wait;
    return grant.bytes;
  }
  static gh_status claim(void* context, const gh_prefix* prefixes, std::size_t count) {
    std::vector<Prefix> claims;
    for (const gh_prefix& prefix : std::span(prefixes, count)) {
      gh_endpoint address{};
      std::memcpy(address.bytes, prefix.bytes, sizeof address.bytes);
      address.family = prefix.family;
      claims.emplace_back(from_border(address).address, prefix.length);
    }
    const std::scoped_lock lock(self(context).mutex_);
    self(context).claims_ = std::move(claims);
    return GH_OK;
  }

  static std::uint32_t dns(void* context, gh_lane*, gh_client*, const gh_flow* flow) {
    const Policy& present = policy(self(context));
    const bool is_dns = (flow->flags & GH_FLOW_RESOLVER) != 0 || present.dns_ports.contains(flow->destination.port);
    if (!is_dns) return 0;
    return present.judges_answers ? GH_DNS_QUERIES | GH_DNS_ANSWERS : GH_DNS_QUERIES;
  }

  static gh_status resolve(void* context, gh_lane*, std::uint32_t kind, gh_bytes value, char* out, std::size_t capacity,
                           std::size_t* size, const gh_completion* later) {
    if (kind != GH_CREDENTIAL_UNIX) {
      FakeHost& host = self(context);
      const std::scoped_lock lock(host.mutex_);
      const auto found = host.credentials_.find({kind, std::string(from_border(value))});
      if (found == host.credentials_.end()) return GH_E_NOT_FOUND;
      if (found->second.size() > capacity) return GH_E_LIMIT;
      *size = found->second.copy(out, capacity);
      return GH_OK;
    }
    std::atomic<unsigned>& delayed = self(context).delayed_identities_;
    if (later != nullptr && delayed > 0) {
      --delayed;
      later->done(later->context, later->token, GH_OK);
      return GH_PENDING;
    }
    const std::string identity = "unix:" + std::string(from_border(value));
    if (identity.size() > capacity) return GH_E_LIMIT;
    *size = identity.copy(out, capacity);
    return GH_OK;
  }

  static gh_status resolve_token(void* context, gh_lane*, gh_bytes token, const gh_client_facts*, char* out,
                                 std::size_t capacity, std::size_t* size, std::uint64_t* wait_ns) {
    FakeHost& host = self(context);
    const std::scoped_lock lock(host.mutex_);
    if (host.token_wait_ns_ != 0) {
      *wait_ns = host.token_wait_ns_;
      return GH_E_LIMIT;
    }
    const auto found = host.credentials_.find({GH_CREDENTIAL_TOKEN, std::string(from_border(token))});
    if (found == host.credentials_.end()) return GH_E_NOT_FOUND;
    if (found->second.size() > capacity) return GH_E_LIMIT;
    *size = found->second.copy(out, capacity);
    return GH_OK;
  }

  static gh_status fds_keep(void* context, gh_bytes name, const std::int32_t* fds, std::size_t count) {
    std::vector<UniqueFd> dups;
    for (const std::int32_t fd : std::span(fds, count)) {
      dups.emplace_back(fcntl(fd, F_DUPFD_CLOEXEC, 0));
      if (!dups.back()) return GH_E_IO;
    }
    const std::scoped_lock lock(self(context).mutex_);
    self(context).fds_[std::string(from_border(name))] = std::move(dups);
    return GH_OK;
  }
  static gh_status fds_take(void* context, gh_bytes name, std::int32_t* out, std::size_t capacity, std::size_t* count) {
    const std::scoped_lock lock(self(context).mutex_);
    const auto found = self(context).fds_.find(std::string(from_border(name)));
    if (found == self(context).fds_.end()) return GH_E_NOT_FOUND;
    *count = found->second.size();
    if (*count > capacity) return GH_E_LIMIT;
    for (UniqueFd& fd : found->second) *out++ = fd.release();
    self(context).fds_.erase(found);
    return GH_OK;
  }

  static gh_status certificate(void* context, gh_lane*, std::uint32_t listener, gh_certificate* out) {
    FakeHost& host = self(context);
    const std::scoped_lock lock(host.mutex_);
    const auto found = host.certificates_.find(listener);
    if (found == host.certificates_.end()) return GH_E_NOT_FOUND;
    const Certificate& from = *found->second;
    host.lent_.push_back(found->second);
    *out = {sizeof *out,
            from.least_version,
            from.generation,
            to_border(from.chain),
            to_border(from.key),
            to_border(from.client_ca),
            to_border(from.alpn),
            to_border(from.ticket_key),
            to_border(from.ticket_key_before),
            from.ktls ? 1U : 0U,
            0};
    return GH_OK;
  }

  static gh_status ranges_of(void* context, gh_bytes space, gh_range* out, std::size_t capacity, std::size_t* count) {
    FakeHost& host = self(context);
    if (space.size == 0) return GH_E_INVALID;
    const std::scoped_lock lock(host.mutex_);
    const auto found = host.ranges_.find(std::string(from_border(space)));
    const std::vector<NumberRange> all{{0, UINT64_MAX}};
    const std::vector<NumberRange>& known = found == host.ranges_.end() ? all : found->second;
    *count = known.size();
    for (std::size_t i = 0; i < std::min(capacity, known.size()); ++i) out[i] = {known[i].first, known[i].last};
    return GH_OK;
  }

  static void ran_short(void* context, std::uint32_t resource) {
    if (resource < self(context).shortages_.size()) ++self(context).shortages_[resource];
  }

  static gh_status set_notice(void* context, gh_bytes name, std::uint32_t, gh_bytes sentence) {
    FakeHost& host = self(context);
    const std::scoped_lock lock(host.mutex_);
    host.notices_[std::string(from_border(name))] = from_border(sentence);
    return GH_OK;
  }

  gh_log log;
  gh_clock clock;
  gh_random random;
  gh_metrics metrics;
  gh_policy policy_table;
  gh_identity identity;
  gh_fds fds;
  gh_budget budget;
  gh_notices notices;
  gh_certificates certificates;
  gh_ranges ranges;
};

FakeHost::Services::Services(FakeHost& host)
    : log{sizeof log, 0, &host, &host.level_, write},
      clock{sizeof clock, 0, &host, monotonic, realtime},
      random{sizeof random, 0, &host, fill},
      metrics{sizeof metrics, 0, &host, cells},
      policy_table{sizeof policy_table,
                   0,
                   &host,
                   &host.generation_,
                   refresh,
                   client_open,
                   client_close,
                   limits,
                   check,
                   check_batch,
                   flow_open,
                   flow_close,
                   charge,
                   claim,
                   dns},
      identity{sizeof identity, 0, &host, resolve, resolve_token},
      fds{sizeof fds, 0, &host, fds_keep, fds_take},
      budget{sizeof budget, 0, &host, &host.memory_bytes_, &host.descriptors_, ran_short},
      notices{sizeof notices, 0, &host, set_notice},
      certificates{sizeof certificates, 0, &host, &host.certificate_generation_, certificate},
      ranges{sizeof ranges, 0, &host, &host.ranges_generation_, ranges_of} {}

FakeHost::Instance::Instance(FakeHost& host, std::string plugin)
    : host_(host),
      store_(host.store_.instance(std::move(plugin))),
      table_{{size_of<gh_host>(), GH_ABI_MINOR + (host.is_later_ ? 1U : 0U), this, Services::get}} {}

FakeHost::FakeHost()
    : services_(std::make_unique<Services>(*this)),
      store_([this] { return Services::realtime(this) / 1'000'000'000; }) {
  interfaces_ = {{GH_LOG_ID, &services_->log},
                 {GH_CLOCK_ID, &services_->clock},
                 {GH_RANDOM_ID, &services_->random},
                 {GH_METRICS_ID, &services_->metrics},
                 {GH_POLICY_ID, &services_->policy_table},
                 {GH_IDENTITY_ID, &services_->identity},
                 {GH_FDS_ID, &services_->fds},
                 {GH_BUDGET_ID, &services_->budget},
                 {GH_NOTICES_ID, &services_->notices},
                 {GH_CERTIFICATES_ID, &services_->certificates},
                 {GH_RANGES_ID, &services_->ranges}};
  test_.emplace(*this, "test");
  Policy first;
  first.limits.struct_size = sizeof first.limits;
  first.limits.concurrent_flows = first.limits.udp_idle_ns = first.limits.tcp_idle_ns = first.limits.session_idle_ns =
      UINT64_MAX;
  publish(std::move(first));
}

FakeHost::~FakeHost() = default;

void FakeHost::restart() {
  store_.restart();
  test_.emplace(*this, "test");
}

void FakeHost::publish(Policy policy) {
  const std::scoped_lock lock(mutex_);
  policies_.push_back(std::move(policy));
  std::atomic_ref(generation_).store(policies_.size(), std::memory_order_release);
}

void FakeHost::set_certificate(std::uint32_t listener, Certificate certificate) {
  const std::scoped_lock lock(mutex_);
  certificate.generation = certificate_generation_ + 1;
  certificates_[listener] = std::make_shared<const Certificate>(std::move(certificate));
  std::atomic_ref(certificate_generation_).store(certificate_generation_ + 1, std::memory_order_release);
}

void FakeHost::set_ranges(std::string space, std::vector<NumberRange> ranges) {
  const std::scoped_lock lock(mutex_);
  ranges_[std::move(space)] = std::move(ranges);
  std::atomic_ref(ranges_generation_).store(ranges_generation_ + 1, std::memory_order_release);
}

void FakeHost::set_policy(std::function<std::uint16_t(const FakeFlow&)> judge) {
  Policy next = Services::policy(*this);
  next.judge = std::move(judge);
  publish(std::move(next));
}

void FakeHost::set_limits(const gh_limits& limits) {
  Policy next = Services::policy(*this);
  next.limits = limits;
  publish(std::move(next));
}

void FakeHost::set_dns(std::set<std::uint16_t> ports, bool judges_answers) {
  Policy next = Services::policy(*this);
  next.dns_ports = std::move(ports);
  next.judges_answers = judges_answers;
  publish(std::move(next));
}

void FakeHost::set_traffic(FakeTraffic traffic) {
  Policy next = Services::policy(*this);
  next.traffic = std::move(traffic);
  publish(std::move(next));
}

std::uint64_t FakeHost::metric(const std::string& series) const {
  const std::scoped_lock lock(mutex_);
  const auto found = series_.find(series);
  if (found == series_.end()) return 0;
  std::uint64_t sum = 0;
  for (const auto& cells : found->second.lanes)
    if (cells) sum += std::atomic_ref(cells[0]).load(std::memory_order_relaxed);
  return sum;
}

std::vector<std::string> FakeHost::log_lines() const {
  const std::scoped_lock lock(mutex_);
  return log_;
}

}  // namespace gatehouse::testkit
