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

/// Control thread only. Never waits: tick() does what is due.
///
/// A lane that ends unasked makes the instance failed: it is drained, ended and, after a pause of 1, 2, 4, ... 60 s,
/// made anew. After five failures in ten minutes it is quarantined: it stays stopped until restart_if_quarantined().
class ConfiguredPlugin {
 public:
  enum class State { stopped, running, draining, failing, ending, waiting, quarantined };

  static constexpr Nanoseconds kFailureDrain = std::chrono::seconds(5);
  static constexpr Nanoseconds kFailureWindow = std::chrono::minutes(10);
  static constexpr std::size_t kMostFailures = 5;

  ConfiguredPlugin(LoadedPlugin loaded, PluginSettings settings, HostServices services,
                   std::function<void()> on_lane_end);
  /// Closes the listeners and ends the instance, waiting up to Instance::kStopTime.
  ~ConfiguredPlugin();
  ConfiguredPlugin(const ConfiguredPlugin&) = delete;
  ConfiguredPlugin& operator=(const ConfiguredPlugin&) = delete;

  /// Does the plugin itself accept `options`? Without any effect. @throws Refusal
  void check(const std::string& options) const;
  /// Binds every listener that has none yet. Returns a sentence for each that cannot be bound; those that could stay.
  [[nodiscard]] std::vector<std::string> bind();
  /// Makes and starts an instance. @throws Refusal; then nothing runs
  void start();

  /// Moves from one state to the next; to be called when a lane has ended, and at the time that it returned last.
  [[nodiscard]] SteadyTime tick(SteadyTime now);
  void wake(std::uint32_t reasons);
  /// No new clients. Ends the instance when nobody is served any more, at `deadline` at the latest.
  void drain(SteadyTime deadline);
  /// Ends the instance without draining.
  void stop(SteadyTime now);

  /// Names of the settings of `next` that cannot change while the plugin runs: "plugin.udpgw.lanes".
  [[nodiscard]] std::vector<std::string> needs_restart(const PluginConfig& next) const;
  /// The settings for `next`, with listeners of unchanged addresses kept and new ones bound.
  /// @throws Refusal
  [[nodiscard]] PluginSettings prepare(const PluginConfig& next, std::string options) const;
  /// Makes the plugin run with `next`. Returns the settings before, to go back to. @throws Refusal; then nothing
  /// changed
  [[nodiscard]] PluginSettings apply(PluginSettings next);
  /// Closes the listeners of `others` that this plugin does not use, once its lanes have had time to let go of them.
  void retire_unused(PluginSettings others);
  void restart_if_quarantined();

  [[nodiscard]] State state() const noexcept { return state_; }
  [[nodiscard]] bool stopped() const noexcept { return state_ == State::stopped; }
  /// "running", "draining", ...
  [[nodiscard]] std::string_view state_name() const noexcept;
  /// Why it is not well, or "".
  [[nodiscard]] const std::string& failure() const noexcept { return failure_; }
  [[nodiscard]] std::uint64_t restarts() const noexcept { return restarts_; }
  [[nodiscard]] unsigned abandoned_lanes() const noexcept { return abandoned_; }
  [[nodiscard]] const LoadedPlugin& loaded() const noexcept { return loaded_; }
  [[nodiscard]] const PluginSettings& settings() const noexcept { return settings_; }
  [[nodiscard]] const std::string& name() const noexcept { return settings_.config.name; }
  [[nodiscard]] std::uint64_t pending() const { return instance_ ? instance_->pending() : 0; }
  [[nodiscard]] std::vector<LaneStatus> lanes() const;
  /// Adds the instance's series and lanes.
  void write_metrics(OpenMetrics& out) const;

 private:
  /// A listener that is no longer configured, and when it is closed.
  struct Retiring {
    SteadyTime at;
    std::shared_ptr<BoundListener> listener;
  };

  [[nodiscard]] std::shared_ptr<BoundListener> bind_address(const std::string& role,
                                                            const ListenAddress& address) const;
  void note_failure(const std::string& why, SteadyTime now);
  void note_lane_failure(SteadyTime now);
  void retry(SteadyTime now);
  void start_again(SteadyTime now);
  void close_retired(SteadyTime now);
  void end_instance();
  [[nodiscard]] std::vector<std::shared_ptr<const BoundListener>> listeners() const;

  LoadedPlugin loaded_;
  PluginSettings settings_;
  HostServices services_;
  std::function<void()> on_lane_end_;

  State state_ = State::stopped;
  std::shared_ptr<PluginMetrics> metrics_;
  std::unique_ptr<Instance> instance_;
  SteadyTime due_ = SteadyTime::max();  // of the state: when draining ends, when to try again
  bool wanted_ = false;                 // false: once ended it stays stopped
  std::string failure_;
  std::vector<Retiring> retiring_;
  std::vector<SteadyTime> failures_;  // within kFailureWindow
  std::uint64_t restarts_ = 0;
  unsigned abandoned_ = 0;
};

}  // namespace gatehouse
