#include "gateway/plugin/configured_plugin.hpp"

#include "gateway/base/openmetrics.hpp"
#include "gateway/base/refusal.hpp"

#include <algorithm>
#include <utility>

namespace gatehouse {
namespace {

constexpr Nanoseconds kPollTime = std::chrono::milliseconds(20);  // while clients leave or lanes return
constexpr Nanoseconds kIdleTime = std::chrono::seconds(1);
constexpr Nanoseconds kRetirePause = std::chrono::milliseconds(200);
constexpr Nanoseconds kLongestPause = std::chrono::seconds(60);

/// What two addresses must have in common to be served by one socket.
bool same_address(const ListenAddress& a, const ListenAddress& b) {
  return a.kind == b.kind && a.text == b.text && a.endpoint == b.endpoint && a.path == b.path;
}
bool same_facts(const ListenAddress& a, const ListenAddress& b) {
  return a.tls == b.tls && a.auth == b.auth && a.identity == b.identity && a.mode == b.mode && a.group == b.group;
}

const ListenAddress* find_address(const PluginConfig& config, const std::string& role, const ListenAddress& wanted) {
  const auto addresses = config.listeners.find(role);
  if (addresses == config.listeners.end()) return nullptr;
  const auto found = std::find_if(addresses->second.begin(), addresses->second.end(),
                                  [&wanted](const ListenAddress& one) { return same_address(one, wanted); });
  return found == addresses->second.end() ? nullptr : &*found;
}

std::shared_ptr<BoundListener> find_listener(const PluginSettings& settings, const std::string& role,
                                             const ListenAddress& address) {
  for (const auto& listener : settings.listeners) {
    if (listener->role() == role && same_address(listener->address(), address)) return listener;
  }
  return nullptr;
}

}  // namespace

ConfiguredPlugin::ConfiguredPlugin(LoadedPlugin loaded, PluginSettings settings, HostServices services,
                                   std::function<void()> on_lane_end)
    : loaded_(std::move(loaded)),
      settings_(std::move(settings)),
      services_(std::move(services)),
      on_lane_end_(std::move(on_lane_end)) {}

ConfiguredPlugin::~ConfiguredPlugin() {
  for (const auto& listener : settings_.listeners) listener->retire();
  for (const Retiring& entry : retiring_) entry.listener->retire();
}

void ConfiguredPlugin::check(const std::string& options) const {
  if (instance_) return instance_->configure(options, true);
  const unsigned lanes = lane_count(settings_.config);
  Instance instance(
      loaded_, {name(), lanes, false},
      std::make_unique<HostOffer>(services_, settings_.config, std::make_shared<PluginMetrics>(name(), lanes)),
      nullptr);
  instance.configure(options, true);
}

std::shared_ptr<BoundListener> ConfiguredPlugin::bind_address(const std::string& role,
                                                              const ListenAddress& address) const {
  return std::make_shared<BoundListener>(services_.listener_names->add(address.text), name(), role, address,
                                         lane_count(settings_.config));
}

std::vector<std::string> ConfiguredPlugin::bind() {
  std::vector<std::string> problems;
  for (const auto& [role, addresses] : settings_.config.listeners) {
    for (const ListenAddress& address : addresses) {
      if (find_listener(settings_, role, address) != nullptr) continue;
      try {
        settings_.listeners.push_back(bind_address(role, address));
      } catch (const Refusal& why) {
        problems.emplace_back(why.what());
      }
    }
  }
  return problems;
}

std::vector<std::shared_ptr<const BoundListener>> ConfiguredPlugin::listeners() const {
  return {settings_.listeners.begin(), settings_.listeners.end()};
}

void ConfiguredPlugin::start() {
  const unsigned lanes = lane_count(settings_.config);
  auto metrics = std::make_shared<PluginMetrics>(name(), lanes);
  auto instance =
      std::make_unique<Instance>(loaded_, InstanceSpec{name(), lanes, settings_.config.pin_lanes},
                                 std::make_unique<HostOffer>(services_, settings_.config, metrics), on_lane_end_);
  instance->configure(settings_.options, false);
  instance->start(listeners());
  instance_ = std::move(instance);
  metrics_ = std::move(metrics);
  state_ = State::running;
  wanted_ = true;
  failure_.clear();
}

void ConfiguredPlugin::note_failure(const std::string& why, SteadyTime now) {
  failure_ = why;
  failures_.push_back(now);
  std::erase_if(failures_, [now](SteadyTime at) { return at + kFailureWindow <= now; });
  services_.journal->write(GH_LOG_ERROR, "gateway", "plugin failed", {{"plugin", name()}, {"why", why}});
}

/// After a failure: when is the next attempt, if there is one?
void ConfiguredPlugin::retry(SteadyTime now) {
  if (!wanted_) {
    state_ = State::stopped;
  } else if (failures_.size() >= kMostFailures) {
    state_ = State::quarantined;
    services_.journal->write(GH_LOG_ERROR, "gateway", "plugin quarantined; reload the gateway to try it again",
                             {{"plugin", name()}, {"why", failure_}});
  } else {
    state_ = State::waiting;
    const std::size_t doublings = failures_.empty() ? 0 : failures_.size() - 1;
    due_ = now + std::min(kLongestPause, Nanoseconds(std::chrono::seconds(1)) * (1 << doublings));
  }
}

void ConfiguredPlugin::note_lane_failure(SteadyTime now) {
  const auto why = instance_->failure();
  if (!why) return;
  note_failure(*why, now);
  if (state_ == State::running) due_ = now + kFailureDrain;
  state_ = State::failing;
  instance_->drain(due_);
}

void ConfiguredPlugin::start_again(SteadyTime now) {
  ++restarts_;
  try {
    start();
    services_.journal->write(GH_LOG_INFO, "gateway", "plugin restarted", {{"plugin", name()}});
  } catch (const Refusal& why) {
    note_failure(why.what(), now);
    retry(now);
  }
}

void ConfiguredPlugin::close_retired(SteadyTime now) {
  if (instance_) instance_->tick(now);
  std::erase_if(retiring_, [now](const Retiring& entry) {
    if (entry.at > now) return false;
    entry.listener->retire();
    return true;
  });
}

void ConfiguredPlugin::end_instance() {
  abandoned_ += instance_->abandoned();
  if (instance_->abandoned() > 0) {
    const std::string count = std::to_string(instance_->abandoned());
    services_.journal->write(GH_LOG_ERROR, "gateway", "lanes did not return and were abandoned",
                             {{"plugin", name()}, {"lanes", count}});
  }
  instance_.reset();
  metrics_.reset();
}

SteadyTime ConfiguredPlugin::tick(SteadyTime now) {
  close_retired(now);
  if (state_ == State::running || state_ == State::draining) note_lane_failure(now);
  if ((state_ == State::failing || state_ == State::draining) && (instance_->pending() == 0 || now >= due_)) {
    state_ = State::ending;
    instance_->request_stop(now);
  }
  if (state_ == State::ending && instance_->ended(now)) {
    end_instance();
    retry(now);
  }
  if (state_ == State::waiting && now >= due_) start_again(now);

  const SteadyTime retire_at = retiring_.empty() ? SteadyTime::max() : retiring_.front().at;
  switch (state_) {
    case State::failing:
    case State::draining:
    case State::ending: return now + kPollTime;
    case State::waiting: return std::min(due_, retire_at);
    case State::running: return std::min(now + kIdleTime, retire_at);
    case State::stopped:
    case State::quarantined: break;
  }
  return retire_at;
}

void ConfiguredPlugin::wake(std::uint32_t reasons) {
  if (instance_) instance_->wake(reasons);
}

void ConfiguredPlugin::drain(SteadyTime deadline) {
  wanted_ = false;
  if (state_ == State::running) {
    state_ = State::draining;
    due_ = deadline;
    instance_->drain(deadline);
  } else if (state_ == State::draining) {
    due_ = std::min(due_, deadline);
  } else if (state_ == State::waiting || state_ == State::quarantined) {
    state_ = State::stopped;
  }
}

void ConfiguredPlugin::stop(SteadyTime now) {
  wanted_ = false;
  if (instance_ == nullptr) {
    state_ = State::stopped;
  } else if (state_ != State::ending) {
    state_ = State::ending;
    instance_->request_stop(now);
  }
}

std::vector<std::string> ConfiguredPlugin::needs_restart(const PluginConfig& next) const {
  const PluginConfig& now = settings_.config;
  const std::string path = "plugin." + name() + ".";
  std::vector<std::string> out;
  if (next.path != now.path) out.push_back(path + "path");
  if (lane_count(next) != lane_count(now)) out.push_back(path + "lanes");
  if (next.pin_lanes != now.pin_lanes) out.push_back(path + "pin_lanes");
  if (next.allow_local_destinations != now.allow_local_destinations) out.push_back(path + "allow_local_destinations");
  for (const auto& [role, addresses] : next.listeners) {
    for (const ListenAddress& address : addresses) {
      const ListenAddress* before = find_address(now, role, address);
      if (before != nullptr && !same_facts(*before, address)) {
        out.push_back(path + role + " (auth, identity, mode or group of " + address.text + ")");
      }
    }
  }
  return out;
}

PluginSettings ConfiguredPlugin::prepare(const PluginConfig& next, std::string options) const {
  PluginSettings out{next, std::move(options), {}};
  for (const auto& [role, addresses] : next.listeners) {
    for (const ListenAddress& address : addresses) {
      auto listener = find_listener(settings_, role, address);
      if (listener == nullptr) {
        listener = bind_address(role, address);
      }
      out.listeners.push_back(std::move(listener));
    }
  }
  check(out.options);
  return out;
}

PluginSettings ConfiguredPlugin::apply(PluginSettings next) {
  if (state_ == State::running) {
    const bool options_differ = next.options != settings_.options;
    if (options_differ) instance_->reconfigure(next.options);
    try {
      if (next.listeners != settings_.listeners) {
        instance_->change_listeners({next.listeners.begin(), next.listeners.end()});
      }
    } catch (const Refusal&) {
      if (options_differ) instance_->reconfigure(settings_.options);
      throw;
    }
  }
  return std::exchange(settings_, std::move(next));
}

void ConfiguredPlugin::retire_unused(PluginSettings others) {
  const auto& mine = settings_.listeners;
  const SteadyTime retire_at = steady_now() + kRetirePause;
  for (auto& listener : others.listeners) {
    if (std::find(mine.begin(), mine.end(), listener) == mine.end()) retiring_.push_back({retire_at, listener});
  }
}

void ConfiguredPlugin::restart_if_quarantined() {
  if (state_ != State::quarantined) return;
  failures_.clear();
  state_ = State::waiting;
  due_ = SteadyTime::min();
}

std::string_view ConfiguredPlugin::state_name() const noexcept {
  switch (state_) {
    case State::stopped: return "stopped";
    case State::running: return "running";
    case State::draining: return "draining";
    case State::failing: return "failed";
    case State::ending: return wanted_ ? "failed" : "stopping";
    case State::waiting: return "restarting";
    case State::quarantined: return "quarantined";
  }
  return "unknown";
}

std::vector<LaneStatus> ConfiguredPlugin::lanes() const {
  return instance_ ? instance_->lanes() : std::vector<LaneStatus>();
}

void ConfiguredPlugin::write_metrics(OpenMetrics& out) const {
  const MetricLabels plugin = {{"plugin", name()}};
  out.gauge("gatehouse_plugin_up", "Whether the plugin runs.", plugin, state_ == State::running ? 1 : 0);
  out.gauge("gatehouse_plugin_pending", "Clients that the plugin serves.", plugin,
            static_cast<std::int64_t>(pending()));
  out.counter("gatehouse_plugin_restarts", "Times that the plugin was made anew after a failure.", plugin, restarts_);
  for (const LaneStatus& lane : lanes()) {
    out.counter_seconds("gatehouse_lane_cpu_seconds", "Processor time of the lane's thread.",
                        {{"plugin", name()}, {"lane", std::to_string(lane.index)}},
                        std::chrono::duration<double>(lane.cpu_time).count());
  }
  if (metrics_) metrics_->write_to(out);
}

}  // namespace gatehouse
