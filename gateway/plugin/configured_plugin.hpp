// A plugin of the configuration over all its lives: its listeners, its running instance, what happens when that fails.
#pragma once

#include "gateway/plugin/instance.hpp"
#include "gateway/services/host_services.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse {

/// What may change while a plugin runs.
struct PluginSettings {
  PluginConfig config;
  std::string options;  ///< a JSON object, complete with defaults
  std::vector<std::shared_ptr<BoundListener>> listeners;
};

/// Control thread only. Never waits: tick() moves it on.
///
/// A lane that ends unasked, or a lane or a call that hangs, makes the instance failed: it is drained, ended and, after
/// a pause of 1, 2, 4, ... 60 s, made anew. After five failures in ten minutes it is quarantined: it stays away until
/// restart_if_quarantined().
class ConfiguredPlugin {
 public:
  enum class State { stopped, starting, running, draining, failing, ending, waiting, quarantined };
  using Call = Instance::Call;

  static constexpr Nanoseconds kFailureDrain = std::chrono::seconds(5);
  static constexpr Nanoseconds kFailureWindow = std::chrono::minutes(10);
  static constexpr std::size_t kMostFailures = 5;

  ConfiguredPlugin(LoadedPlugin loaded, PluginSettings settings, HostServices services, std::function<void()> on_event);
  /// Closes the listeners and ends its instances, waiting as Instance does.
  ~ConfiguredPlugin();
  ConfiguredPlugin(const ConfiguredPlugin&) = delete;
  ConfiguredPlugin& operator=(const ConfiguredPlugin&) = delete;

  /// Does the plugin itself accept `options`? Without any effect. Asks the running instance, or one that is made for it
  /// and becomes the next to start. @throws Refusal
  Call check(const std::string& options);
  /// Binds every listener that has none yet. Returns a sentence for each that cannot be bound; those that could stay.
  [[nodiscard]] std::vector<std::string> bind();
  /// Closes its listeners: for one that has not served and will not.
  void unbind() noexcept;
  /// Makes, configures and starts an instance whose lanes are held back: then finish_start(). @throws Refusal
  Call start();
  /// Once that call is over: runs the lanes. When something was refused it is a failure like others, to be tried again.
  void finish_start(SteadyTime now);

  /// Goes on from one state to the next; call it on each event, and at the time that it returned last.
  [[nodiscard]] SteadyTime tick(SteadyTime now);
  /// The part of tick() that finds out what hangs: for whoever waits for a call of this plugin.
  void watch(SteadyTime now);
  void wake(std::uint32_t reasons);
  /// No new clients: its listeners are closed, but for datagrams, which come until it has ended. Ends the instance when
  /// nobody is served any more, at `deadline` at the latest.
  void drain(SteadyTime deadline);
  /// Ends the instance without draining.
  void stop(SteadyTime now);

  /// Names of the settings of `next` that cannot change while the plugin runs: "plugin.udpgw.lanes".
  [[nodiscard]] std::vector<std::string> needs_restart(const PluginConfig& next) const;
  /// Addresses of `next` for which it has no listener yet.
  [[nodiscard]] std::vector<ListenAddress> unbound(const PluginConfig& next) const;
  /// The settings for `next`, with listeners of unchanged addresses kept and new ones bound; then check() its options.
  /// @throws Refusal
  [[nodiscard]] PluginSettings prepare(const PluginConfig& next, std::string options) const;
  /// Asks the running instance to go over to `next`; null when there is nothing to ask. @throws Refusal
  Call apply(const PluginSettings& next);
  /// Once that is over and well: from now on it runs with `next`. Returns the settings before, to go back to.
  [[nodiscard]] PluginSettings take_over(PluginSettings next);
  /// Closes the listeners of `others` that this plugin does not use, once its lanes have had time to let go of them.
  void retire_unused(PluginSettings others);
  void restart_if_quarantined();

  [[nodiscard]] State state() const noexcept { return state_; }
  [[nodiscard]] bool stopped() const noexcept {
    return state_ == State::stopped && !next_.instance && leaving_.empty();
  }
  /// "running", "draining", ...
  [[nodiscard]] std::string_view state_name() const noexcept;
  /// Why it is not well, or "".
  [[nodiscard]] const std::string& failure() const noexcept { return failure_; }
  /// What hung last, at most kMostHung, the newest last; also when the plugin is well again.
  [[nodiscard]] const std::vector<Hung>& hung() const noexcept { return hung_; }
  [[nodiscard]] std::uint64_t restarts() const noexcept { return restarts_; }
  [[nodiscard]] unsigned abandoned_lanes() const noexcept { return abandoned_lanes_; }
  [[nodiscard]] unsigned abandoned_calls() const noexcept { return abandoned_calls_; }
  [[nodiscard]] const LoadedPlugin& loaded() const noexcept { return loaded_; }
  [[nodiscard]] const PluginSettings& settings() const noexcept { return settings_; }
  [[nodiscard]] const std::string& name() const noexcept { return settings_.config.name; }
  /// As the plugin said a moment ago.
  [[nodiscard]] std::uint64_t pending() const { return life_.instance ? life_.instance->pending() : 0; }
  [[nodiscard]] std::vector<LaneStatus> lanes() const;
  /// As Instance::describe(): what it says about states of its sessions.
  [[nodiscard]] Call describe(std::shared_ptr<std::vector<SessionState>> states) {
    return life_.instance ? life_.instance->describe(std::move(states)) : nullptr;
  }
  /// What all of its clients may use together, and whether that ran short.
  [[nodiscard]] PluginBudget& budget() const noexcept { return *budget_; }
  /// What the instance that serves has to say.
  [[nodiscard]] std::vector<PluginNotices::Notice> notices() const {
    return life_.notices ? life_.notices->all() : std::vector<PluginNotices::Notice>();
  }
  /// Adds the instance's series and lanes.
  void write_metrics(OpenMetrics& out) const;

 private:
  static constexpr std::size_t kMostHung = 8;

  struct Made {
    std::shared_ptr<PluginMetrics> metrics;
    std::shared_ptr<PluginNotices> notices;
    std::unique_ptr<Instance> instance;
  };

  [[nodiscard]] std::shared_ptr<BoundListener> bind_address(const std::string& role,
                                                            const ListenAddress& address) const;
  void make_next();
  void retire(Made made, SteadyTime now);
  void note_hung(Instance& instance);
  void note_failure(const std::string& why, SteadyTime now);
  void note_lane_failure(SteadyTime now);
  void retry(SteadyTime now);
  void start_again(SteadyTime now);
  void close_retired(SteadyTime now);
  void account(Instance& ended);
  void end_instances(SteadyTime now);
  [[nodiscard]] SteadyTime next_tick(SteadyTime now) const;
  [[nodiscard]] Instance::Listeners listeners() const;

  LoadedPlugin loaded_;
  PluginSettings settings_;
  HostServices services_;
  std::function<void()> on_event_;
  std::shared_ptr<PluginBudget> budget_ = std::make_shared<PluginBudget>();  // of every instance

  State state_ = State::stopped;
  Made life_;  // that serves, or did until now
  Made next_;  // that is made to follow it, if it is
  Call starting_;
  std::vector<Made> leaving_;           // that are being ended without having served
  SteadyTime due_ = SteadyTime::max();  // of the state: when draining ends, when to try again
  std::optional<SteadyTime> close_untaken_at_;
  bool wanted_ = false;  // false: once ended it stays stopped
  std::string failure_;
  std::vector<Hung> hung_;
  std::vector<std::pair<SteadyTime, std::shared_ptr<BoundListener>>> retiring_;
  std::vector<SteadyTime> failures_;  // within kFailureWindow
  std::uint64_t restarts_ = 0;
  unsigned abandoned_lanes_ = 0, abandoned_calls_ = 0;
};

}  // namespace gatehouse
