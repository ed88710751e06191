// The host's services as C++: what a plugin calls. Thin: each call is one call through the border's tables.
#pragma once

#include <gatehouse/base/clock.hpp>
#include <gatehouse/base/error.hpp>
#include <gatehouse/base/prefix.hpp>
#include <gatehouse/plugin/border.hpp>

#include <atomic>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gatehouse {

/// What a call of the host came to; none for GH_OK and every other success but GH_PENDING.
[[nodiscard]] Error to_error(gh_status status) noexcept;

/// What a listener's clients come over.
enum class Transport : std::uint32_t {
  unix_stream = GH_TRANSPORT_UNIX,  ///< streams of this machine
  tcp = GH_TRANSPORT_TCP,           ///< streams
  udp = GH_TRANSPORT_UDP            ///< datagrams
};

/// One listener of one lane, as a value.
struct Listener {
  std::uint32_t id = 0;                  ///< the same for all lanes of a listener
  std::string name;                      ///< as configured: "127.0.0.1:7300"
  std::string role;                      ///< "listen"
  std::string identity;                  ///< of every client of it, or ""
  Endpoint local;                        ///< with the real port; none for Unix
  int fd = -1;                           ///< the host's: do not close
  std::uint32_t lane = 0;                ///< whose it is
  Transport transport = Transport::tcp;  ///< what its clients come over
  bool tls = false;                      ///< streams begin with TLS
  bool takes_token = false;              ///< what a client must show, this
  bool takes_certificate = false;        ///< or this
  bool takes_user = false;               ///< or this: the user of a Unix stream; none of them: nothing
  bool http_opening = false;             ///< a client's first words, within TLS, are HTTP/1.1 with Upgrade
  /// Streams begin with a PROXY header, from trusted_proxies alone. Without it these are believed in X-Forwarded-For.
  bool proxy_protocol = false;
  std::vector<Prefix> trusted_proxies;  ///< whose word for the client's address is believed
  std::vector<std::string> origins;     ///< of pages in browsers that may ask with an HTTP opening; none: no page

  [[nodiscard]] bool needs_credential() const noexcept { return takes_token || takes_certificate || takes_user; }
};
/// `count` of them, copied; a later minor's may lie further apart.
[[nodiscard]] std::vector<Listener> from_border(const gh_listener* listeners, std::size_t count);

/// How much a line matters.
enum class LogLevel : std::int32_t {
  error = GH_LOG_ERROR,  ///< somebody has to act
  warn = GH_LOG_WARN,    ///< something is worse than it should be
  info = GH_LOG_INFO,    ///< the plugin's life; never for each client
  debug = GH_LOG_DEBUG,  ///< single clients
  trace = GH_LOG_TRACE   ///< single packets
};

/// Writes log lines. Thread-safe.
class Log {
 public:
  /// Key and value.
  using Field = std::pair<std::string_view, std::string_view>;

  /// @param table  lives until destroy()
  explicit Log(const gh_log* table) noexcept : table_(table) {}
  /// Is a line of this level wanted? One relaxed load: ask before a line is put together.
  [[nodiscard]] bool wants(LogLevel level) const noexcept {
    return static_cast<std::int32_t>(level) <=
           std::atomic_ref(const_cast<std::int32_t&>(*table_->level)).load(std::memory_order_relaxed);
  }
  /// One line, with fields as key and value. Copied before it returns: nothing waits for a disk, and lines that come
  /// faster than they can be written are dropped and counted. It may allocate: not for each packet.
  void write(LogLevel level, std::string_view event, std::initializer_list<Field> fields = {}) const;
  /// Somebody has to act.
  void error(std::string_view event, std::initializer_list<Field> fields = {}) const {
    write(LogLevel::error, event, fields);
  }
  /// Something is worse than it should be.
  void warn(std::string_view event, std::initializer_list<Field> fields = {}) const {
    write(LogLevel::warn, event, fields);
  }
  /// Life of the plugin. Never for each client.
  void info(std::string_view event, std::initializer_list<Field> fields = {}) const {
    write(LogLevel::info, event, fields);
  }
  /// Single clients.
  void debug(std::string_view event, std::initializer_list<Field> fields = {}) const {
    write(LogLevel::debug, event, fields);
  }

 private:
  const gh_log* table_;
};

/// A lane's counter or gauge: written by its lane alone, read by the exporter.
class Counter {
 public:
  Counter() noexcept = default;
  /// @param cell  the host's; lives until destroy()
  explicit Counter(std::uint64_t* cell) noexcept : cell_(cell) {}
  /// One load and one store. On the lane's thread alone, and not on one that was made without a cell.
  void add(std::uint64_t n = 1) noexcept {
    std::atomic_ref cell(*cell_);
    cell.store(cell.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  /// The same for a gauge that sinks.
  void sub(std::uint64_t n = 1) noexcept { add(0 - n); }
  [[nodiscard]] std::uint64_t value() const noexcept { return std::atomic_ref(*cell_).load(std::memory_order_relaxed); }

 private:
  std::uint64_t* cell_ = nullptr;
};

/// A lane's histogram.
class Histogram {
 public:
  Histogram() noexcept = default;
  /// @param cells  bounds.size() + 2 of them, the host's: one for each bound, one above, the sum
  Histogram(std::uint64_t* cells, std::vector<std::uint64_t> bounds) : cells_(cells), bounds_(std::move(bounds)) {}
  /// Counts one value. O(bounds), on the lane's thread alone.
  void record(std::uint64_t value) noexcept {
    std::size_t bucket = 0;
    while (bucket < bounds_.size() && value > bounds_[bucket]) ++bucket;
    Counter(cells_ + bucket).add();
    Counter(cells_ + bounds_.size() + 1).add(value);
  }

 private:
  std::uint64_t* cells_ = nullptr;
  std::vector<std::uint64_t> bounds_;
};

/// The host. Lives from create to destroy; copies are cheap and refer to the same host.
class Host {
 public:
  /// Throws std::runtime_error naming an interface that the host lacks.
  Host(const gh_host* host, std::string_view name);

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] const Log& log() const noexcept { return log_; }
  [[nodiscard]] const gh_policy& policy() const noexcept { return *policy_; }
  [[nodiscard]] const gh_identity& identity() const noexcept { return *identity_; }
  [[nodiscard]] const gh_sessions& sessions() const noexcept { return *sessions_; }
  [[nodiscard]] const gh_values& values() const noexcept { return *values_; }
  [[nodiscard]] const gh_fds& fds() const noexcept { return *fds_; }
  [[nodiscard]] const gh_budget& budget() const noexcept { return *budget_; }
  /// The table of an interface that not every host has, or null. Valid until destroy().
  template <class Table>
  [[nodiscard]] const Table* find(const char* id) const noexcept {
    return static_cast<const Table*>(border_->get(border_->context, id));
  }
  /// Random bytes from the system, for secrets and hash seeds. One system call.
  void random(MutableBytes out) const;
  /// The time of day in UTC, for records and leases; a test host may give another one.
  [[nodiscard]] std::chrono::sys_seconds utc_now() const noexcept {
    return std::chrono::sys_seconds(std::chrono::floor<std::chrono::seconds>(
        Nanoseconds(static_cast<std::int64_t>(clock_->realtime_ns(clock_->context)))));
  }

  /// This lane's part of gatehouse_plugin_<plugin>_<name>_total; the same cell where name and labels are the same.
  /// Beyond 1,024 series of a plugin it is a shared one, `series_overflow`. Locks and allocates: for a worker's
  /// constructor.
  [[nodiscard]] Counter counter(gh_lane* lane, std::string_view name, std::string_view help,
                                std::initializer_list<Log::Field> labels = {}) const;
  /// The same for what sinks, too; without _total.
  [[nodiscard]] Counter gauge(gh_lane* lane, std::string_view name, std::string_view help,
                              std::initializer_list<Log::Field> labels = {}) const;
  /// The same for a distribution. @param bounds  upper ones, ascending, each included.
  /// @throws std::invalid_argument for more than 64
  [[nodiscard]] Histogram histogram(gh_lane* lane, std::string_view name, std::string_view help,
                                    std::vector<std::uint64_t> bounds,
                                    std::initializer_list<Log::Field> labels = {}) const;

 private:
  [[nodiscard]] std::uint64_t* cells(gh_lane* lane, std::uint32_t kind, std::string_view name, std::string_view help,
                                     std::initializer_list<Log::Field> labels,
                                     const std::vector<std::uint64_t>& bounds) const;
  template <class Table>
  const Table* need(const gh_host* host, const char* id);

  const gh_host* border_;
  std::string name_;
  Log log_;
  const gh_metrics* metrics_;
  const gh_clock* clock_;
  const gh_random* random_;
  const gh_policy* policy_;
  const gh_identity* identity_;
  const gh_sessions* sessions_;
  const gh_values* values_;
  const gh_fds* fds_;
  const gh_budget* budget_;
};

/// Every interface that Host uses, for a manifest's requires_ids.
inline constexpr const char* kHostInterfaces[] = {GH_LOG_ID,    GH_METRICS_ID,  GH_CLOCK_ID,    GH_RANDOM_ID,
                                                  GH_POLICY_ID, GH_IDENTITY_ID, GH_SESSIONS_ID, GH_VALUES_ID,
                                                  GH_FDS_ID,    GH_BUDGET_ID,   nullptr};

}  // namespace gatehouse
