#include <gatehouse/plugin/host.hpp>

#include <cstring>
#include <stdexcept>

namespace gatehouse {

Error to_error(gh_status status) noexcept {
  switch (status) {
    case GH_PENDING: return Errc::pending;
    case GH_E_INVALID: return Errc::invalid;
    case GH_E_NOT_FOUND: return Errc::not_found;
    case GH_E_EXISTS: return Errc::exists;
    case GH_E_LIMIT: return Errc::limit;
    case GH_E_DENIED: return Errc::denied;
    case GH_E_STATE: return Errc::wrong_state;
    case GH_E_IO: return Errc::io;
    case GH_E_UNSUPPORTED: return Errc::unsupported;
    case GH_E_IN_DOUBT: return Errc::in_doubt;
    default: return status >= 0 ? Error() : make_error_code(Errc::failed);
  }
}

std::vector<Listener> from_border(const gh_listener* listeners, std::size_t count) {
  std::vector<Listener> out;
  for (std::size_t i = 0; i < count; ++i) {
    const gh_listener& in = *GH_NEXT(gh_listener, listeners, i);
    Listener listener;
    listener.id = in.id;
    listener.name = from_border(in.name);
    listener.role = from_border(in.role);
    listener.identity = from_border(in.identity);
    listener.local = from_border(in.local);
    listener.fd = in.fd;
    listener.lane = in.lane;
    listener.transport = static_cast<Transport>(in.transport);
    listener.tls = in.tls != 0;
    listener.takes_token = (in.auth & GH_AUTH_TOKEN) != 0;
    listener.takes_certificate = (in.auth & GH_AUTH_CERT) != 0;
    listener.takes_user = (in.auth & GH_AUTH_UNIX) != 0;
    listener.http_opening = in.opening == GH_OPENING_HTTP;
    listener.proxy_protocol = in.proxy_protocol != 0;
    for (std::size_t k = 0; k < in.trusted_proxy_count; ++k)
      listener.trusted_proxies.push_back(from_border(in.trusted_proxies[k]));
    for (std::size_t k = 0; k < in.origin_count; ++k) listener.origins.emplace_back(from_border(in.origins[k]));
    out.push_back(std::move(listener));
  }
  return out;
}

void Log::write(LogLevel level, std::string_view event, std::initializer_list<Field> fields) const {
  if (!wants(level)) return;
  std::vector<gh_log_field> out;
  for (const auto& [key, value] : fields) out.push_back({to_border(key), to_border(value)});
  table_->write(table_->context, static_cast<std::int32_t>(level), to_border(event), out.data(), out.size());
}

template <class Table>
const Table* Host::need(const gh_host* host, const char* id) {
  const void* table = host->get(host->context, id);
  if (table == nullptr) throw std::runtime_error("the host does not offer " + std::string(id));
  return static_cast<const Table*>(table);
}

Host::Host(const gh_host* host, std::string_view name)
    : border_(host),
      name_(name),
      log_(need<gh_log>(host, GH_LOG_ID)),
      metrics_(need<gh_metrics>(host, GH_METRICS_ID)),
      clock_(need<gh_clock>(host, GH_CLOCK_ID)),
      random_(need<gh_random>(host, GH_RANDOM_ID)),
      policy_(need<gh_policy>(host, GH_POLICY_ID)),
      identity_(need<gh_identity>(host, GH_IDENTITY_ID)),
      sessions_(need<gh_sessions>(host, GH_SESSIONS_ID)),
      values_(need<gh_values>(host, GH_VALUES_ID)),
      fds_(need<gh_fds>(host, GH_FDS_ID)),
      budget_(need<gh_budget>(host, GH_BUDGET_ID)) {}

void Host::random(MutableBytes out) const {
  if (random_->fill(random_->context, reinterpret_cast<std::uint8_t*>(out.data()), out.size()) != GH_OK)
    throw std::runtime_error("the system gives no random bytes");
}

std::uint64_t* Host::cells(gh_lane* lane, std::uint32_t kind, std::string_view name, std::string_view help,
                           std::initializer_list<Log::Field> labels, const std::vector<std::uint64_t>& bounds) const {
  std::vector<gh_metric_label> out;
  for (const auto& [key, value] : labels) out.push_back({to_border(key), to_border(value)});
  gh_metric metric{};
  metric.struct_size = sizeof metric;
  metric.kind = kind;
  metric.name = to_border(name);
  metric.help = to_border(help);
  metric.labels = out.data();
  metric.label_count = out.size();
  metric.bounds = bounds.data();
  metric.bound_count = bounds.size();
  std::uint64_t* const first = metrics_->cells(metrics_->context, lane, &metric);
  if (first == nullptr) throw std::invalid_argument("a histogram has 64 bounds at most, and this one has more");
  return first;
}

Counter Host::counter(gh_lane* lane, std::string_view name, std::string_view help,
                      std::initializer_list<Log::Field> labels) const {
  return Counter(cells(lane, GH_METRIC_COUNTER, name, help, labels, {}));
}

Counter Host::gauge(gh_lane* lane, std::string_view name, std::string_view help,
                    std::initializer_list<Log::Field> labels) const {
  return Counter(cells(lane, GH_METRIC_GAUGE, name, help, labels, {}));
}

Histogram Host::histogram(gh_lane* lane, std::string_view name, std::string_view help,
                          std::vector<std::uint64_t> bounds, std::initializer_list<Log::Field> labels) const {
  std::uint64_t* const cells_of_lane = cells(lane, GH_METRIC_HISTOGRAM, name, help, labels, bounds);
  return {cells_of_lane, std::move(bounds)};
}

}  // namespace gatehouse
