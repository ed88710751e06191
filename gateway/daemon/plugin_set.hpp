// All plugins of the configuration: started all or none, changed all or nothing, ended together.
#pragma once

#include "gateway/config/config.hpp"
#include "gateway/plugin/configured_plugin.hpp"
#include "policy/surroundings.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace gatehouse {

/// Control thread only.
class PluginSet {
 public:
  struct Events {
    std::function<void()> lane_ended;  ///< on the lane's thread: let it post a message and nothing else
    /// Called with everything that the plugins listen on, before lanes serve it.
    std::function<void(const std::vector<policy::OwnListener>&)> listeners;
  };

  PluginSet(HostServices services, Events events);

  /// Loads each enabled plugin and lets it judge its options; nothing listens and no lane runs. What `gatehouse check`
  /// does too. Returns every problem that it finds.
  [[nodiscard]] std::vector<ConfigProblem> load(const Config& config);
  /// Binds every listener and starts every plugin that was loaded. With a problem, nothing is left running.
  [[nodiscard]] std::vector<ConfigProblem> start();
  /// Makes the running plugins those of `next`: options, listeners, plugins that come or go. With a problem, all is as
  /// before.
  [[nodiscard]] std::vector<ConfigProblem> reload(const Config& next);

  /// Does what is due for every plugin; returns when to call it next.
  [[nodiscard]] SteadyTime tick(SteadyTime now);
  void wake(std::uint32_t reasons);
  /// What the TLS of a listener (BoundListener::id) shows and accepts from now on; lanes are told when that is new.
  void publish_certificate(std::uint32_t listener, ListenerPem pem);
  void remove_certificate(std::uint32_t listener);
  void drain(SteadyTime deadline);
  void stop(SteadyTime now);
  [[nodiscard]] bool stopped() const;
  /// Lanes that never returned, of all plugins that there were.
  [[nodiscard]] unsigned abandoned_lanes() const;

  [[nodiscard]] const std::vector<std::unique_ptr<ConfiguredPlugin>>& plugins() const noexcept { return plugins_; }

 private:
  struct Changes;

  std::unique_ptr<ConfiguredPlugin> load_one(const Config& config, const PluginConfig& plugin,
                                             std::vector<ConfigProblem>& problems) const;
  void plan(const Config& next, const PluginConfig& plugin, Changes& changes) const;
  void carry_out(Changes& changes);
  void commit(Changes& changes, const Config& next);
  [[nodiscard]] ConfiguredPlugin* find(const std::string& name) const noexcept;
  void announce(const Changes* coming);

  HostServices services_;
  Events events_;
  std::vector<std::unique_ptr<ConfiguredPlugin>> plugins_;
  std::vector<std::unique_ptr<ConfiguredPlugin>> leaving_;  // no longer configured, still serving their clients
  std::optional<std::vector<policy::OwnListener>> announced_;
  unsigned abandoned_ = 0;  // of plugins that have left
};

}  // namespace gatehouse
