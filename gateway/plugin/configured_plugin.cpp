#include "gateway/plugin/configured_plugin.hpp"

#include "gateway/base/openmetrics.hpp"
#include "gateway/base/refusal.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace gatehouse {
namespace {

constexpr Nanoseconds kPollTime = std::chrono::milliseconds(20);  // while clients leave or lanes return
constexpr Nanoseconds kIdleTime = std::chrono::seconds(1);
constexpr Nanoseconds kRetirePause = std::chrono::milliseconds(200);
constexpr Nanoseconds kLongestPause = std::chrono::seconds(60);
constexpr Nanoseconds kSettleTime = std::chrono::seconds(10);  // then nobody takes what an earlier instance has kept

/// What two addresses must have in common to be served by one socket.
bool same_address(const ListenAddress& a, const ListenAddress& b) {
  return a.kind == b.kind && a.text == b.text && a.endpoint == b.endpoint && a.path == b.path;
}
/// What lanes were told of it; a certificate, its key and whatever else is in TlsConfig reach them otherwise.
bool same_facts(const ListenAddress& a, const ListenAddress& b) {
  return a.tls.has_value() == b.tls.has_value() && a.auth == b.auth && a.http_opening == b.http_opening &&
         a.proxy_protocol == b.proxy_protocol && a.trusted_proxies == b.trusted_proxies && a.origins == b.origins &&
         a.identity == b.identity && a.mode == b.mode && a.group == b.group;
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
                                   std::function<void()> on_event)
    : loaded_(std::move(loaded)),
      settings_(std::move(settings)),
      services_(std::move(services)),
      on_event_(std::move(on_event)) {
  budget_->set_memory(settings_.config.memory_bytes);
}

ConfiguredPlugin::~ConfiguredPlugin() {
  for (const auto& listener : settings_.listeners) listener->retire();
  for (const auto& [at, listener] : retiring_) listener->retire();
}

void ConfiguredPlugin::make_next() {
  if (next_.instance) return;
  const unsigned lanes = lane_count(settings_.config);
  auto metrics = std::make_shared<PluginMetrics>(name(), lanes);
  auto notices = std::make_shared<PluginNotices>();
  next_.instance = std::make_unique<Instance>(
      loaded_, InstanceSpec{name(), lanes, settings_.config.pin_lanes, services_.plugin_timeout},
      std::make_unique<HostOffer>(services_, settings_.config, metrics, budget_, notices), on_event_);
  next_.metrics = std::move(metrics);
  next_.notices = std::move(notices);
}

ConfiguredPlugin::Call ConfiguredPlugin::check(const std::string& options) {
  if (state_ == State::running || state_ == State::draining) return life_.instance->configure(options, true);
  make_next();
  return next_.instance->configure(options, true);
}

std::shared_ptr<BoundListener> ConfiguredPlugin::bind_address(const std::string& role,
                                                              const ListenAddress& address) const {
  return std::make_shared<BoundListener>(services_.listener_names->add(name(), address.text), name(), role, address,
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

void ConfiguredPlugin::unbind() noexcept {
  for (const auto& listener : settings_.listeners) listener->retire();
  settings_.listeners.clear();
}

Instance::Listeners ConfiguredPlugin::listeners() const {
  return {settings_.listeners.begin(), settings_.listeners.end()};
}

ConfiguredPlugin::Call ConfiguredPlugin::start() {
  make_next();
  next_.instance->configure(settings_.options, false);
  starting_ = next_.instance->start(listeners());
  state_ = State::starting;
  wanted_ = true;
  return starting_;
}

void ConfiguredPlugin::finish_start(SteadyTime now) {
  Answer refusal = starting_->refusal();
  starting_.reset();
  if (!refusal) {
    try {
      next_.instance->run_lanes();
    } catch (const Refusal& why) {
      refusal = why.what();
    }
  }
  if (refusal) {
    retire(std::move(next_), now);
    note_failure(*refusal, now);
    return retry(now);
  }
  life_ = std::move(next_);
  state_ = State::running;
  close_untaken_at_ = now + kSettleTime;
  failure_.clear();
}

/// Ends one that has not served.
void ConfiguredPlugin::retire(Made made, SteadyTime now) {
  if (!made.instance) return;
  made.instance->request_stop(now);
  leaving_.push_back(std::move(made));
}

void ConfiguredPlugin::note_hung(Instance& instance) {
  for (Hung& found : instance.take_hung()) {
    std::string stack;
    for (const std::string& frame : found.stack) stack += (stack.empty() ? "" : " < ") + frame;
    services_.journal->write(GH_LOG_ERROR, "gateway", "a plugin's thread does not answer",
                             {{"plugin", name()}, {"what", found.what}, {"stack", stack}});
    hung_.push_back(std::move(found));
    if (hung_.size() > kMostHung) hung_.erase(hung_.begin());
  }
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
    services_.fds->drop(name());
    services_.journal->write(GH_LOG_ERROR, "gateway", "plugin quarantined; reload the gateway to try it again",
                             {{"plugin", name()}, {"why", failure_}});
  } else {
    state_ = State::waiting;
    const std::size_t doublings = failures_.empty() ? 0 : failures_.size() - 1;
    due_ = now + std::min(kLongestPause, Nanoseconds(std::chrono::seconds(1)) * (1 << doublings));
  }
}

void ConfiguredPlugin::note_lane_failure(SteadyTime now) {
  const auto why = life_.instance->failure();
  if (!why) return;
  note_failure(*why, now);
  if (state_ == State::running) due_ = now + kFailureDrain;
  state_ = State::failing;
  close_untaken_at_.reset();
  life_.instance->drain(due_);
}

void ConfiguredPlugin::start_again(SteadyTime now) {
  ++restarts_;
  try {
    start();
  } catch (const Refusal& why) {
    retire(std::move(next_), now);
    note_failure(why.what(), now);
    retry(now);
  }
}

void ConfiguredPlugin::close_retired(SteadyTime now) {
  std::erase_if(retiring_, [now](const auto& entry) {
    if (entry.first > now) return false;
    entry.second->retire();
    return true;
  });
  if (close_untaken_at_ && now >= *close_untaken_at_) {
    close_untaken_at_.reset();
    life_.instance->close_untaken();
  }
}

/// What it leaves behind when it is over. Its clients are told where this plugin is to serve again: only then nobody
/// else takes new ones at its addresses. (One that was disabled a moment ago may lose what it still drains there.)
void ConfiguredPlugin::account(Instance& ended) {
  note_hung(ended);
  abandoned_lanes_ += ended.abandoned_lanes();
  abandoned_calls_ += ended.abandoned_calls();
  const bool has_served = &ended == life_.instance.get();
  if (ended.abandoned_lanes() + ended.abandoned_calls() == 0) {
    if (has_served) services_.fds->release(name());
    return;
  }
  services_.fds->hold(name());
  const std::size_t streams = has_served && wanted_ ? end_streams(settings_.listeners) : 0;
  services_.journal->write(GH_LOG_ERROR, "gateway", "threads of the plugin did not return and were abandoned",
                           {{"plugin", name()},
                            {"lanes", std::to_string(ended.abandoned_lanes())},
                            {"calls", std::to_string(ended.abandoned_calls())},
                            {"streams_ended", std::to_string(streams)}});
}

void ConfiguredPlugin::watch(SteadyTime now) {
  for (const Made* const made : {&life_, &next_}) {
    if (!made->instance) continue;
    made->instance->tick(now);
    note_hung(*made->instance);
  }
  // One that hangs while it is checked is of no use to anybody.
  if (state_ != State::starting && next_.instance && next_.instance->failure()) retire(std::move(next_), now);
}

void ConfiguredPlugin::end_instances(SteadyTime now) {
  std::erase_if(leaving_, [&](const Made& made) {
    if (!made.instance->ended(now)) return false;
    account(*made.instance);
    return true;
  });
  if (state_ != State::ending || !life_.instance->ended(now)) return;
  account(*life_.instance);
  life_ = {};
  retry(now);
}

SteadyTime ConfiguredPlugin::tick(SteadyTime now) {
  close_retired(now);
  watch(now);
  if (state_ == State::running || state_ == State::draining) note_lane_failure(now);
  if ((state_ == State::failing || state_ == State::draining) && (life_.instance->is_drained() || now >= due_)) {
    state_ = State::ending;
    life_.instance->request_stop(now);
  }
  end_instances(now);
  if (state_ == State::starting && starting_->is_over()) {
    finish_start(now);
    if (state_ == State::running)
      services_.journal->write(GH_LOG_INFO, "gateway", "plugin restarted", {{"plugin", name()}});
  }
  if (state_ == State::waiting && now >= due_) start_again(now);
  return next_tick(now);
}

SteadyTime ConfiguredPlugin::next_tick(SteadyTime now) const {
  const SteadyTime retire_at = retiring_.empty() ? SteadyTime::max() : retiring_.front().first;
  if (!leaving_.empty()) return now + kPollTime;
  switch (state_) {
    case State::failing:
    case State::draining:
    case State::ending: return now + kPollTime;
    case State::waiting: return std::min(due_, retire_at);
    case State::starting:
    case State::running: return std::min(now + kIdleTime, retire_at);
    case State::stopped:
    case State::quarantined: break;
  }
  return retire_at;
}

void ConfiguredPlugin::wake(std::uint32_t reasons) {
  if (life_.instance) life_.instance->wake(reasons);
}

void ConfiguredPlugin::drain(SteadyTime deadline) {
  wanted_ = false;
  for (const auto& listener : settings_.listeners) retiring_.emplace_back(steady_now() + kRetirePause, listener);
  switch (state_) {
    case State::running:
      state_ = State::draining;
      due_ = deadline;
      life_.instance->drain(deadline);
      break;
    case State::draining: due_ = std::min(due_, deadline); break;
    case State::starting:
    case State::waiting:
    case State::quarantined: state_ = State::stopped; break;
    case State::stopped:
    case State::failing:
    case State::ending: break;
  }
  retire(std::move(next_), steady_now());
}

void ConfiguredPlugin::stop(SteadyTime now) {
  wanted_ = false;
  retire(std::move(next_), now);
  if (!life_.instance) {
    state_ = State::stopped;
  } else if (state_ != State::ending) {
    state_ = State::ending;
    life_.instance->request_stop(now);
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
        out.push_back(path + role + " (tls, auth, opening, proxies, identity, mode or group of " + address.text + ")");
      }
    }
  }
  return out;
}

std::vector<ListenAddress> ConfiguredPlugin::unbound(const PluginConfig& next) const {
  std::vector<ListenAddress> out;
  for (const auto& [role, addresses] : next.listeners) {
    std::copy_if(addresses.begin(), addresses.end(), std::back_inserter(out),
                 [&, &role = role](const auto& address) { return find_listener(settings_, role, address) == nullptr; });
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
  return out;
}

ConfiguredPlugin::Call ConfiguredPlugin::apply(const PluginSettings& next) {
  if (state_ != State::running) return nullptr;
  Instance::Change change;
  if (next.options != settings_.options) change.options = next.options;
  change.options_before = settings_.options;
  if (next.listeners != settings_.listeners) change.listeners.emplace(next.listeners.begin(), next.listeners.end());
  if (!change.options && !change.listeners) return nullptr;
  return life_.instance->change(std::move(change));
}

PluginSettings ConfiguredPlugin::take_over(PluginSettings next) {
  PluginSettings before = std::exchange(settings_, std::move(next));
  budget_->set_memory(settings_.config.memory_bytes);
  if (state_ == State::starting) {  // with the former ones: begin anew
    retire(std::move(next_), steady_now());
    state_ = State::waiting;
    due_ = SteadyTime::min();
  }
  return before;
}

void ConfiguredPlugin::retire_unused(PluginSettings others) {
  const auto& mine = settings_.listeners;
  const SteadyTime retire_at = steady_now() + kRetirePause;
  for (auto& listener : others.listeners) {
    if (std::find(mine.begin(), mine.end(), listener) == mine.end()) retiring_.emplace_back(retire_at, listener);
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
    case State::starting: return "starting";
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
  return life_.instance ? life_.instance->lanes() : std::vector<LaneStatus>();
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
  for (std::size_t i = 0; i < PluginBudget::kResources.size(); ++i)
    out.counter("gatehouse_plugin_shortages", "Times that clients were refused or cut for want of something.",
                {{"plugin", name()}, {"resource", PluginBudget::kResources[i]}}, budget_->shortages(i));
  if (life_.metrics) life_.metrics->write_to(out);
}

}  // namespace gatehouse
