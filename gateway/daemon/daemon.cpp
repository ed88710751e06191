#include "gateway/daemon/daemon.hpp"

#include "gateway/base/block_signals.hpp"
#include "gateway/control/control_server.hpp"
#include "gateway/control/metrics_server.hpp"
#include "gateway/daemon/limits_report.hpp"
#include "gateway/daemon/process.hpp"
#include "gateway/daemon/report.hpp"
#include "gateway/plugin/refusal.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include <csignal>
#include <cstdlib>
#include <optional>
#include <utility>

namespace gatehouse {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;

constexpr Nanoseconds kStopDrain = std::chrono::seconds(10);  // TERM
constexpr Nanoseconds kLongestDrain = std::chrono::hours(1);  // the drain verb
constexpr unsigned kUnprocessable = 422;                      // HTTP: the new configuration is broken
constexpr unsigned kConflict = 409;                           // HTTP: not while draining

LogFormat format_of(const Config& config) { return config.log_format == "json" ? LogFormat::json : LogFormat::text; }
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
  void open_endpoints();
  void add_verbs();
  void say_what_runs();
  void await_signal();
  void on_signal(int signal);
  std::vector<ConfigProblem> reload();
  std::vector<std::string> fixed_keys(const Config& next) const;
  void take_over(Config next);
  void drain(Nanoseconds time);
  void tick();
  [[nodiscard]] ReportSources sources() const { return {*plugins_, services_, *policy_, draining_, started_at_}; }
  [[nodiscard]] Health live() const;
  [[nodiscard]] Health ready() const;
  void log(std::int32_t level, std::string_view event, std::initializer_list<LogField> fields = {}) {
    services_.journal->write(level, "gateway", event, fields);
  }

  Config config_;
  std::function<ConfigReading()> reread_;
  const std::chrono::system_clock::time_point started_at_ = std::chrono::system_clock::now();

  asio::io_context io_{1};
  asio::signal_set signals_{io_};
  asio::steady_timer timer_{io_};
  HostServices services_;
  std::optional<PolicyPublisher> policy_;
  std::optional<PluginSet> plugins_;
  std::optional<ControlServer> control_;
  std::optional<MetricsServer> metrics_;
  std::optional<Endpoint> metrics_endpoint_;
  bool draining_ = false;
  bool stopping_ = false;
};

Daemon::Core::~Core() {
  control_.reset();
  metrics_.reset();
  plugins_.reset();  // its lanes end before what they use
  policy_.reset();
}

/// Log, policy and an empty set of plugins. @throws Refusal, std::exception
void Daemon::Core::open_services() {
  raise_descriptor_limit();
  make_folder(config_.state_dir, fs::perms::owner_all | fs::perms::group_read | fs::perms::group_exec);
  make_folder(config_.runtime_dir, fs::perms(0755));
  services_.journal = std::make_shared<Journal>(level_of(config_), format_of(config_));

  const BlockSignals block;
  PolicyEvents events;
  events.published = [this](std::uint64_t generation) {
    asio::post(io_, [this, generation] {
      log(GH_LOG_INFO, "policy in force", {{"generation", std::to_string(generation)}});
      if (plugins_) plugins_->wake(GH_WAKE_POLICY);
    });
  };
  events.said = [journal = services_.journal](bool bad, const std::string& sentence) {
    journal->write(bad ? GH_LOG_WARN : GH_LOG_INFO, "policy", sentence);
  };
  policy_.emplace(config_.state_dir / "policy.db", std::move(events));
  services_.policy = policy_->board();
  services_.policy_records = policy_->records();

  PluginSet::Events plugin_events;
  plugin_events.lane_ended = [this] { asio::post(io_, [this] { tick(); }); };
  plugin_events.listeners = [this](std::vector<policy::OwnListener> listeners) {
    if (metrics_endpoint_) listeners.push_back({*metrics_endpoint_, static_cast<std::uint32_t>(GH_TRANSPORT_TCP)});
    policy_->set_places(std::move(listeners), {});
  };
  plugins_.emplace(services_, std::move(plugin_events));
}

/// Control socket and metrics. They answer once run() is on its way. @throws std::exception
void Daemon::Core::open_endpoints() {
  control_.emplace(io_);
  add_verbs();
  for (const std::string& name : control_->set_admins(config_.control_admins)) {
    log(GH_LOG_WARN, "no such user; correct `admins` of [control]", {{"name", name}});
  }
  control_->listen(config_.runtime_dir / "control.sock", config_.control_mode);
  if (config_.metrics_listen.empty()) return;
  metrics_.emplace(io_, MetricsServer::Sources{[this] { return metrics_text(sources()); }, [this] { return live(); },
                                               [this] { return ready(); }});
  metrics_endpoint_ = metrics_->listen(Endpoint::parse(config_.metrics_listen).value());
}

std::vector<ConfigProblem> Daemon::Core::start() {
  std::vector<ConfigProblem> problems;
  try {
    open_services();
    problems = plugins_->load(config_);
    if (problems.empty()) {
      open_endpoints();
      problems = plugins_->start();
    }
  } catch (const std::exception& error) {
    problems.push_back({{}, error.what()});
  }
  if (!problems.empty()) {
    control_.reset();
    metrics_.reset();
    plugins_.reset();
  }
  return problems;
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
  if (metrics_endpoint_) log(GH_LOG_INFO, "serving metrics", {{"address", metrics_endpoint_->to_string()}});
  log(GH_LOG_INFO, "ready", {{"plugins", std::to_string(plugins_->plugins().size())}});
}

int Daemon::Core::run() {
  std::signal(SIGPIPE, SIG_IGN);
  for (const int signal : {SIGHUP, SIGTERM, SIGINT}) signals_.add(signal);
  await_signal();
  say_what_runs();
  notify_supervisor("READY=1");
  tick();
  io_.run();

  log(GH_LOG_INFO, "stopped");
  const bool abandoned = plugins_->abandoned_lanes() > 0;
  control_.reset();
  metrics_.reset();
  plugins_.reset();
  policy_.reset();
  services_.journal->flush();
  if (abandoned) std::_Exit(EXIT_SUCCESS);
  return EXIT_SUCCESS;
}

void Daemon::Core::tick() {
  const SteadyTime due = plugins_->tick(steady_now());
  if (stopping_ && plugins_->stopped()) {
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
  if (signal == SIGHUP) {
    for (const ConfigProblem& problem : reload()) {
      log(GH_LOG_ERROR, "reload refused, nothing was changed", {{"why", problem.to_string()}});
    }
    return;
  }
  const bool at_once = signal == SIGINT || stopping_;
  log(GH_LOG_INFO, at_once ? "stopping" : "draining, then stopping");
  notify_supervisor("STOPPING=1");
  stopping_ = true;
  if (at_once) {
    plugins_->stop(steady_now());
    tick();
  } else {
    drain(kStopDrain);
  }
}

void Daemon::Core::drain(Nanoseconds time) {
  draining_ = true;
  plugins_->drain(steady_now() + time);
  tick();
}

/// Keys whose value in `next` only a new process can take.
std::vector<std::string> Daemon::Core::fixed_keys(const Config& next) const {
  std::vector<std::string> out;
  if (next.state_dir != config_.state_dir) out.emplace_back("gateway.state_dir");
  if (next.runtime_dir != config_.runtime_dir) out.emplace_back("gateway.runtime_dir");
  if (next.log_format != config_.log_format) out.emplace_back("log.format");
  if (next.metrics_listen != config_.metrics_listen) out.emplace_back("metrics.listen");
  if (next.control_mode != config_.control_mode) out.emplace_back("control.mode");
  return out;
}

std::vector<ConfigProblem> Daemon::Core::reload() {
  if (draining_ || stopping_) return {{{}, "the gateway is draining and takes no new configuration"}};
  ConfigReading reading = reread_();
  if (!reading.problems.empty()) return reading.problems;
  std::vector<ConfigProblem> problems;
  for (const std::string& key : fixed_keys(*reading.config)) {
    problems.push_back({{}, "`" + key + "` cannot change while the gateway runs: restart it"});
  }
  if (problems.empty()) problems = plugins_->reload(*reading.config);
  if (problems.empty()) take_over(std::move(*reading.config));
  tick();
  return problems;
}

void Daemon::Core::take_over(Config next) {
  config_ = std::move(next);
  services_.journal->set_level(level_of(config_));
  for (const std::string& name : control_->set_admins(config_.control_admins)) {
    log(GH_LOG_WARN, "no such user; correct `admins` of [control]", {{"name", name}});
  }
  log(GH_LOG_INFO, "reloaded");
  say_what_runs();
}

void Daemon::Core::add_verbs() {
  control_->on("status", Access::read, [this](const std::string&) {
    return ControlReply{200, status_json(sources())};
  });
  control_->on("sessions", Access::read, [this](const std::string&) {
    return ControlReply{200, sessions_json(*services_.sessions)};
  });
  control_->on("plugins", Access::read, [this](const std::string&) {
    return ControlReply{200, plugins_json(*plugins_)};
  });
  control_->on("policy/limits", Access::read, [this](const std::string& question) {
    return limits_reply(services_, policy_->status().revision, question);
  });
  control_->on("reload", Access::write, [this](const std::string&) {
    if (draining_ || stopping_) return control_error(kConflict, "the gateway is draining");
    const std::vector<ConfigProblem> problems = reload();
    if (problems.empty()) return ControlReply{200, R"({"reloaded":true})"};
    return ControlReply{kUnprocessable, problems_json("reload refused, nothing was changed", problems)};
  });
  control_->on("drain", Access::write, [this](const std::string&) {
    log(GH_LOG_INFO, "draining; the process stays until it is stopped");
    drain(kLongestDrain);
    return ControlReply{200, R"({"draining":true})"};
  });
}

Health Daemon::Core::live() const {
  const unsigned lanes = plugins_->abandoned_lanes();
  if (lanes == 0) return {};
  return {false, {"lanes that never returned: " + std::to_string(lanes)}};
}

Health Daemon::Core::ready() const {
  const GatewayState state = gateway_state(sources());
  bool good = !draining_ && !stopping_ && policy_->status().has_policy;
  for (const auto& plugin : plugins_->plugins()) good = good && plugin->state() == ConfiguredPlugin::State::running;
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
