#include "gateway/daemon/daemon.hpp"

#include "db/file/paths.hpp"
#include "db/policy/policy_database.hpp"
#include "gateway/base/block_signals.hpp"
#include "gateway/base/log_message.hpp"
#include "gateway/base/refusal.hpp"
#include "gateway/config/control_socket.hpp"
#include "gateway/control/control_server.hpp"
#include "gateway/control/metrics_server.hpp"
#include "gateway/daemon/daemon_store.hpp"
#include "gateway/daemon/descriptors.hpp"
#include "gateway/daemon/limits_report.hpp"
#include "gateway/daemon/process.hpp"
#include "gateway/daemon/report.hpp"
#include "gateway/daemon/session_states.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <utility>

namespace gatehouse {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;

constexpr Nanoseconds kStopDrain = std::chrono::seconds(10);  // TERM
constexpr Nanoseconds kLongestDrain = std::chrono::hours(1);  // the drain verb
constexpr Nanoseconds kLeastClose = std::chrono::seconds(2);  // for the store, whatever the drain has left of its time
constexpr std::chrono::seconds kStoreWatch{1};
constexpr unsigned kBadRequest = 400;     // HTTP: a question that makes no sense
constexpr unsigned kUnprocessable = 422;  // HTTP: the new configuration is broken
constexpr unsigned kFailed = 500;         // HTTP
constexpr unsigned kConflict = 409;       // HTTP: not while draining

LogFormat format_of(const Config& config) { return config.log_format == "json" ? LogFormat::json : LogFormat::text; }

/// @throws Refusal
std::optional<AppendFile> open_flow_log(const Config& config) {
  if (config.flow_log.empty()) return {};
  return AppendFile(config.flow_log);
}
std::int32_t level_of(const Config& config) { return log_level_of(config.log_level).value_or(GH_LOG_INFO); }

}  // namespace

class Daemon::Core {
 public:
  Core(Config config, std::function<ConfigReading()> reread) : config_(std::move(config)), reread_(std::move(reread)) {}
  ~Core();

  std::vector<ConfigProblem> start();
  int run();

 private:
  void open_services();
  void open_store();
  void watch_store();
  void give_up_store();
  bool close_store();
  void open_endpoints();
  void show_sessions(ShownSessions sessions, ControlRespond respond);
  void add_verbs();
  void say_what_runs();
  void watch_signals();
  void await_signal();
  void on_signal(int signal);
  void on_hup();
  void begin_reload(std::function<void(std::vector<ConfigProblem>)> then);
  asio::awaitable<std::vector<ConfigProblem>> reload();
  std::vector<std::string> fixed_keys(const Config& next) const;
  void take_over(Config next);
  void drain(Nanoseconds time);
  void tick();
  [[nodiscard]] ReportSources sources() const {
    return {*plugins_, services_, *policy_, *store_, draining_, started_at_};
  }
  [[nodiscard]] Health live() const;
  [[nodiscard]] Health ready() const;
  void log(std::int32_t level, std::string_view event, std::initializer_list<LogField> fields = {}) {
    services_.journal->write(level, "gateway", event, fields);
  }
  /// Writes a part's messages to the journal. @param component  a literal
  [[nodiscard]] LogSink log_as(const char* component) const {
    return [journal = services_.journal, component](const LogMessage& message) {
      journal->write(message.is_warning ? GH_LOG_WARN : GH_LOG_INFO, component, message.text);
    };
  }

  Config config_;
  std::function<ConfigReading()> reread_;
  const std::chrono::system_clock::time_point started_at_ = std::chrono::system_clock::now();

  asio::io_context io_{1};
  asio::signal_set signals_{io_};
  asio::steady_timer timer_{io_};
  asio::steady_timer store_timer_{io_};
  HostServices services_;
  std::optional<DaemonStore> store_;
  std::optional<PolicyPublisher> policy_;
  std::optional<PluginSet> plugins_;
  std::optional<ControlServer> control_;
  std::optional<MetricsServer> metrics_;
  std::optional<Endpoint> metrics_endpoint_;
  bool starting_ = true;
  bool draining_ = false;
  bool stopping_ = false;
  bool reloading_ = false;
  bool reload_again_ = false;  // HUP came meanwhile
  SteadyTime stop_by_{};
  int exit_code_ = EXIT_SUCCESS;
};

Daemon::Core::~Core() {
  control_.reset();
  metrics_.reset();
  plugins_.reset();  // its lanes end before what they use
  policy_.reset();
  static_cast<void>(close_store());
}

/// Log, store, policy and an empty set of plugins. @throws Refusal, std::exception
void Daemon::Core::open_services() {
  raise_descriptor_limit();
  give_back_freed_memory();
  make_folder(config_.state_dir, kStateFolderMode);
  make_folder(config_.runtime_dir, fs::perms(0755));
  const fs::path policy = db::resolved(config_.state_dir / "policy.db");  // a link may lead elsewhere
  require_own(policy.parent_path());
  require_own(db::lists_beside(policy));
  refuse_unless(db::why_not_own_policy(config_.state_dir / "policy.db"));
  services_.journal = std::make_shared<Journal>(level_of(config_), format_of(config_));
  services_.flow_log = std::make_shared<FlowLog>(log_as("flow_log"));
  services_.flow_log->switch_to(open_flow_log(config_));

  const BlockSignals block;
  open_store();
  PolicyEvents events;
  events.published = [this](std::uint64_t generation) {
    asio::post(io_, [this, generation] {
      log(GH_LOG_INFO, "policy in force", {{"generation", std::to_string(generation)}});
      if (store_) store_->take_over(*policy_->board()->current());
      if (plugins_) plugins_->wake(GH_WAKE_POLICY);
    });
  };
  events.log = log_as("policy");
  events.detailed = [journal = services_.journal](const std::string& sentence) {
    journal->write(GH_LOG_DEBUG, "policy", sentence);
  };
  policy_.emplace(config_.state_dir / "policy.db", std::move(events));
  policy_->set_nat64_prefixes(config_.nat64_prefixes);
  store_->take_over(*policy_->board()->current());
  services_.policy = policy_->board();
  services_.policy_records = policy_->records();
  services_.place_claims = policy_->claims();

  PluginSet::Events plugin_events;
  plugin_events.plugin_moved = [this] { asio::post(io_, [this] { tick(); }); };
  plugin_events.listeners = [this](std::vector<policy::OwnListener> listeners) {
    if (metrics_endpoint_) listeners.push_back({*metrics_endpoint_, static_cast<std::uint32_t>(GH_TRANSPORT_TCP)});
    policy_->set_listeners(std::move(listeners));
  };
  plugins_.emplace(services_, std::move(plugin_events), &io_);
}

/// What is remembered, before any plugin can ask for it.
void Daemon::Core::open_store() {
  StoreEvents events;
  events.log = log_as("store");
  events.stop = [this] { asio::post(io_, [this] { give_up_store(); }); };
  store_.emplace(config_.store, std::move(events));
  services_.sessions = store_->sessions();
  services_.values = store_->values();
  store_->restore_quotas(*services_.key_meters);
}

void Daemon::Core::watch_store() {
  store_->watch();
  services_.user_names->expire(steady_now());
  plugins_->watch_certificates(steady_now());
  store_timer_.expires_after(kStoreWatch);
  store_timer_.async_wait([this](const boost::system::error_code& failure) {
    if (!failure) watch_store();
  });
}

/// on_store_failure = "stop".
void Daemon::Core::give_up_store() {
  if (stopping_) return;
  log(GH_LOG_ERROR, "the store cannot be written and on_store_failure is stop: draining, then stopping");
  notify_supervisor("STOPPING=1");
  exit_code_ = EXIT_FAILURE;
  stopping_ = true;
  if (starting_) return plugins_->give_up();
  drain(kStopDrain);
}

/// After the last lane, within what is left of the drain's time, and two seconds at least. @return false: rows are lost
bool Daemon::Core::close_store() {
  if (!store_) return true;
  const SteadyTime least = steady_now() + kLeastClose;
  const bool given_up = exit_code_ != EXIT_SUCCESS;  // then it is tried once more, not waited for
  if (store_->close(given_up ? least : std::max(stop_by_, least))) return true;
  const StoreStatus status = store_->facts().status;
  log(GH_LOG_ERROR, "the store could not be written to its end; the next start takes the last commit",
      {{"rows", std::to_string(status.dirty_rows)}, {"why", status.last_error}});
  exit_code_ = EXIT_FAILURE;
  return false;
}

/// Control socket and metrics. They answer once run() is on its way. @throws std::exception
void Daemon::Core::open_endpoints() {
  HttpBounds bounds;
  bounds.connections = http_connections(descriptor_limit());
  control_.emplace(io_, bounds);
  add_verbs();
  for (const std::string& name : control_->set_admins(config_.control_admins)) {
    log(GH_LOG_WARN, "no such user; correct `admins` of [control]", {{"name", name}});
  }
  control_->listen(control_socket(config_), config_.control_mode);
  if (config_.metrics_listen.empty()) return;
  metrics_.emplace(io_,
                   MetricsServer::Sources{[this] { return metrics_text(sources()); }, [this] { return live(); },
                                          [this] { return ready(); }},
                   bounds);
  metrics_->set_hosts(config_.metrics_hosts);
  metrics_endpoint_ = metrics_->listen(Endpoint::parse(config_.metrics_listen).value());
}

std::vector<ConfigProblem> Daemon::Core::start() {
  std::vector<ConfigProblem> problems;
  try {
    open_services();
    watch_signals();
    problems = plugins_->load(config_);
    if (Config complete = config_; problems.empty()) problems = plugins_->add_defaults(complete);
    if (problems.empty()) {
      open_endpoints();
      problems = plugins_->start();
    }
  } catch (const std::exception& error) {
    problems.push_back({{}, error.what()});
  }
  if (problems.empty() && stopping_) problems.push_back({{}, "stopped while it started"});
  if (!problems.empty()) {
    control_.reset();
    metrics_.reset();
    plugins_.reset();
    static_cast<void>(close_store());
    if (stopping_) problems.clear();  // a signal has ended it
  }
  starting_ = false;
  return problems;
}

void Daemon::Core::watch_signals() {
  std::signal(SIGPIPE, SIG_IGN);
  for (const int signal : {SIGHUP, SIGTERM, SIGINT}) signals_.add(signal);
  await_signal();
}

void Daemon::Core::say_what_runs() {
  for (const auto& plugin : plugins_->plugins()) {
    for (const auto& listener : plugin->settings().listeners) {
      log(GH_LOG_INFO, "listening",
          {{"plugin", plugin->name()}, {"role", listener->role()}, {"address", listener->reachable()}});
    }
    if (plugin->settings().config.allow_local_destinations) {
      log(GH_LOG_WARN, "allow_local_destinations is set: clients reach this machine's own addresses and loopback",
          {{"plugin", plugin->name()}});
    }
  }
  if (!config_.flow_log.empty()) {
    log(GH_LOG_WARN, "flow_log is set: who went where is written down", {{"file", config_.flow_log.string()}});
  }
  if (metrics_endpoint_) log(GH_LOG_INFO, "serving metrics", {{"address", metrics_endpoint_->to_string()}});
  log(GH_LOG_INFO, "ready", {{"plugins", std::to_string(plugins_->plugins().size())}});
}

int Daemon::Core::run() {
  if (!plugins_) return exit_code_;
  say_what_runs();
  notify_supervisor("READY=1");
  if (std::exchange(reload_again_, false)) on_hup();
  watch_store();
  tick();
  io_.run();

  const bool abandoned = plugins_->abandoned_lanes() + plugins_->abandoned_calls() > 0;
  control_.reset();
  metrics_.reset();
  plugins_.reset();
  policy_.reset();
  const bool closed = close_store();
  services_.flow_log->switch_to({});
  log(GH_LOG_INFO, "stopped");
  services_.journal->flush();
  if (abandoned || !closed) std::_Exit(exit_code_);
  return exit_code_;
}

void Daemon::Core::tick() {
  if (starting_) return;  // start() looks after them
  const SteadyTime due = plugins_->tick(steady_now());
  if (stopping_ && plugins_->stopped() && !reloading_) {
    io_.stop();
    return;
  }
  if (due == SteadyTime::max()) return;
  timer_.expires_at(due);
  timer_.async_wait([this](const boost::system::error_code& failure) {
    if (!failure) tick();
  });
}

void Daemon::Core::await_signal() {
  signals_.async_wait([this](const boost::system::error_code& failure, int signal) {
    if (failure) return;
    on_signal(signal);
    await_signal();
  });
}

void Daemon::Core::on_signal(int signal) {
  if (signal == SIGHUP) return on_hup();
  if (starting_) {
    log(GH_LOG_INFO, "stopping before everything has started");
    stopping_ = true;
    return plugins_->give_up();
  }
  const bool at_once = signal == SIGINT || stopping_;
  log(GH_LOG_INFO, at_once ? "stopping" : "draining, then stopping");
  notify_supervisor("STOPPING=1");
  stopping_ = true;
  if (at_once) {
    stop_by_ = steady_now();
    plugins_->stop(stop_by_);
    tick();
  } else {
    drain(kStopDrain);
  }
}

void Daemon::Core::on_hup() {
  if (reloading_ || starting_) {  // the file may have changed since
    reload_again_ = true;
    return;
  }
  begin_reload([this](const std::vector<ConfigProblem>& problems) {
    for (const ConfigProblem& problem : problems) {
      log(GH_LOG_ERROR, "reload refused, nothing was changed", {{"why", problem.to_string()}});
    }
  });
}

void Daemon::Core::begin_reload(std::function<void(std::vector<ConfigProblem>)> then) {
  reloading_ = true;
  if (!stopping_) notify_reloading();
  asio::co_spawn(io_, reload(),
                 [this, then = std::move(then)](std::exception_ptr failure, std::vector<ConfigProblem> problems) {
                   reloading_ = false;
                   if (!stopping_) notify_supervisor("READY=1");  // also with the old configuration
                   try {
                     if (failure) std::rethrow_exception(failure);
                   } catch (const std::exception& error) {
                     problems.push_back({{}, error.what()});
                   }
                   then(std::move(problems));
                   if (std::exchange(reload_again_, false)) on_hup();
                   tick();
                 });
}

void Daemon::Core::drain(Nanoseconds time) {
  draining_ = true;
  stop_by_ = steady_now() + time;
  plugins_->drain(stop_by_);
  tick();
}

/// Keys whose value in `next` only a new process can take.
std::vector<std::string> Daemon::Core::fixed_keys(const Config& next) const {
  std::vector<std::string> out;
  if (next.state_dir != config_.state_dir) out.emplace_back("gateway.state_dir");
  if (next.runtime_dir != config_.runtime_dir) out.emplace_back("gateway.runtime_dir");
  if (next.log_format != config_.log_format) out.emplace_back("log.format");
  if (next.metrics_listen != config_.metrics_listen) out.emplace_back("metrics.listen");
  if (next.store.url != config_.store.url) out.emplace_back("store.url");
  if (next.control_mode != config_.control_mode) out.emplace_back("control.mode");
  return out;
}

/// While it waits for plugins, everything else goes on.
asio::awaitable<std::vector<ConfigProblem>> Daemon::Core::reload() {
  if (draining_ || stopping_) {
    co_return std::vector<ConfigProblem>{{{}, "the gateway is draining and takes no new configuration"}};
  }
  ConfigReading reading = reread_();
  if (!reading.problems.empty()) co_return reading.problems;
  std::vector<ConfigProblem> problems;
  for (const std::string& key : fixed_keys(*reading.config)) {
    problems.push_back({{}, "`" + key + "` cannot change while the gateway runs: restart it"});
  }
  std::optional<AppendFile> flow_log;  // opened anew each time, as HUP should
  try {
    flow_log = open_flow_log(*reading.config);
  } catch (const Refusal& refusal) {
    problems.push_back({{}, refusal.what()});
  }
  if (problems.empty()) problems = co_await plugins_->reload(*reading.config);
  if (problems.empty()) {
    services_.flow_log->switch_to(std::move(flow_log));
    take_over(std::move(*reading.config));
  }
  co_return problems;
}

void Daemon::Core::take_over(Config next) {
  config_ = std::move(next);
  policy_->set_nat64_prefixes(config_.nat64_prefixes);
  services_.journal->set_level(level_of(config_));
  store_->take_over(config_.store);
  if (metrics_) metrics_->set_hosts(config_.metrics_hosts);
  for (const std::string& name : control_->set_admins(config_.control_admins)) {
    log(GH_LOG_WARN, "no such user; correct `admins` of [control]", {{"name", name}});
  }
  log(GH_LOG_INFO, "reloaded");
  say_what_runs();
}

/// Answers once plugins have said what the states of their sessions mean.
void Daemon::Core::show_sessions(ShownSessions sessions, ControlRespond respond) {
  auto shown = std::make_shared<ShownSessions>(std::move(sessions));
  asio::co_spawn(io_, describe_states(*plugins_, shown->listed()),
                 [shown, names = count_names_of(*plugins_), respond = std::move(respond)](
                     std::exception_ptr failure, const DescribeState& describe) {
                   try {
                     respond({200, sessions_json(*shown, failure ? DescribeState() : describe, names)});
                   } catch (const std::exception& error) {
                     respond(control_error(kFailed, error.what()));
                   }
                 });
}

void Daemon::Core::add_verbs() {
  control_->on("status", Access::read, [this](const std::string&) {
    return ControlReply{200, status_json(sources())};
  });
  const auto on_store = [this](const char* verb, std::string (DaemonStore::*body)(const std::string&),
                               Access access = Access::read) {
    control_->on(verb, access, [this, body](const std::string& question) {
      try {
        return ControlReply{200, ((*store_).*body)(question)};
      } catch (const std::invalid_argument& wrong) {
        return control_error(kBadRequest, wrong.what());
      }
    });
  };
  control_->on_slow("sessions", Access::read, [this](const std::string& question, const ControlRespond& respond) {
    try {
      show_sessions(store_->sessions_shown(question), respond);
    } catch (const std::invalid_argument& wrong) {
      respond(control_error(kBadRequest, wrong.what()));
    }
  });
  on_store("leases", &DaemonStore::leases_body);
  on_store("usage", &DaemonStore::usage_body);
  on_store("sessions/end", &DaemonStore::end_sessions_body, Access::write);
  control_->on("plugins", Access::read, [this](const std::string&) {
    return ControlReply{200, plugins_json(*plugins_)};
  });
  control_->on("policy/limits", Access::read, [this](const std::string& question) {
    return limits_reply(services_, policy_->status().revision, question);
  });
  control_->on_slow("reload", Access::write, [this](const std::string&, const ControlRespond& respond) {
    if (draining_ || stopping_) return respond(control_error(kConflict, "the gateway is draining"));
    if (starting_) return respond(control_error(kConflict, "the gateway is starting; ask again in a moment"));
    if (reloading_) return respond(control_error(kConflict, "another reload is under way; ask again when it is over"));
    begin_reload([respond](const std::vector<ConfigProblem>& problems) {
      if (problems.empty()) return respond({200, R"({"reloaded":true})"});
      respond({kUnprocessable, problems_json("reload refused, nothing was changed", problems)});
    });
  });
  control_->on("drain", Access::write, [this](const std::string&) {
    if (starting_) return control_error(kConflict, "the gateway is starting; ask again in a moment");
    log(GH_LOG_INFO, "draining; the process stays until it is stopped");
    drain(kLongestDrain);
    return ControlReply{200, R"({"draining":true})"};
  });
}

Health Daemon::Core::live() const {
  std::vector<std::string> reasons = abandoned_reasons(*plugins_);
  return {reasons.empty(), std::move(reasons)};
}

Health Daemon::Core::ready() const {
  const GatewayState state = gateway_state(sources());
  bool good = !draining_ && !stopping_ && policy_->status().has_policy;
  for (const auto& plugin : plugins_->plugins()) good = good && plugin->state() == ConfiguredPlugin::State::running;
  const StoreFacts store = store_->facts();
  good = good && !(store.status.failing && store.config.on_failure == OnStoreFailure::no_new);
  std::vector<std::string> reasons = state.reasons;
  if (draining_) reasons.emplace_back("the gateway is draining");
  return {good, std::move(reasons)};
}

Daemon::Daemon(Config config, std::function<ConfigReading()> reread)
    : core_(std::make_unique<Core>(std::move(config), std::move(reread))) {}
Daemon::~Daemon() = default;
std::vector<ConfigProblem> Daemon::start() { return core_->start(); }
int Daemon::run() { return core_->run(); }

}  // namespace gatehouse
