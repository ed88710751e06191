// One life of a plugin, from create() to destroy(), with the threads of its lanes.
#pragma once

#include <gatehouse/base/clock.hpp>

#include "gateway/base/offer.hpp"
#include "gateway/plugin/listeners.hpp"
#include "gateway/plugin/loader.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace gatehouse {

/// How many lanes `plugin` gets: what it says, or one for each processor that this process may use.
[[nodiscard]] unsigned lane_count(const PluginConfig& plugin);

struct InstanceSpec {
  std::string name;  ///< of the configuration, "udpgw"; lanes are threads named gh-NAME-0, -1, ...
  unsigned lanes = 1;
  bool pin = false;  ///< lane i runs on the i-th processor that this process may use
};

struct LaneStatus {
  unsigned index = 0;
  int cpu = -1;  ///< pinned to, or -1
  bool running = false;
  Nanoseconds cpu_time{0};  ///< of its thread
};

/// Control thread only, one call after another. `on_lane_end` is called on the lane's thread: let it post a message
/// to the control thread and nothing else.
///
/// A lane that has not returned one second after request_stop() is abandoned: its thread is detached, and all that
/// it may still touch (the plugin's object, the services' tables, its descriptors) stays as it is.
class Instance {
 public:
  static constexpr Nanoseconds kStopTime = std::chrono::seconds(1);

  /// Calls the plugin's create(). @throws Refusal with the plugin's words
  Instance(const LoadedPlugin& plugin, InstanceSpec spec, std::unique_ptr<Offer> offer,
           std::function<void()> on_lane_end);
  /// Stops it, if that was not done before, and waits up to kStopTime.
  ~Instance();
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  /// Hands over `options`, a JSON object. With `check_only`, without any effect. @throws Refusal
  void configure(const std::string& options, bool check_only);
  /// Hands over the listeners and starts the lanes. @throws Refusal; then let the instance go
  void start(const std::vector<std::shared_ptr<const BoundListener>>& listeners);
  /// Changes options, or the set of listeners, while lanes run. @throws Refusal; then all is as before
  void reconfigure(const std::string& options);
  void change_listeners(const std::vector<std::shared_ptr<const BoundListener>>& listeners);

  void wake(std::uint32_t reasons);
  void drain(SteadyTime deadline);
  /// Clients still served.
  [[nodiscard]] std::uint64_t pending() const;
  /// Why a lane ended without being asked to; nothing while all is well.
  [[nodiscard]] std::optional<std::string> failure() const;
  [[nodiscard]] std::vector<LaneStatus> lanes() const;

  /// Asks every lane to return. Never waits; see ended().
  void request_stop(SteadyTime now);
  /// After request_stop(): is it over? Destroys the plugin's object once every lane has returned, and abandons the
  /// lanes that have not when their time is up. Call it until it is true.
  [[nodiscard]] bool ended(SteadyTime now);
  /// Lanes that never returned. Above 0, the process must end without running static destructors.
  [[nodiscard]] unsigned abandoned() const noexcept { return abandoned_; }
  /// Closes what has been out of use for long enough.
  void tick(SteadyTime now);

 private:
  struct Lane;
  struct Life;

  void start_lanes();
  void abandon();

  InstanceSpec spec_;
  std::shared_ptr<Life> life_;  // shared with the lanes' threads; null once ended
  std::optional<SteadyTime> stop_deadline_;
  unsigned abandoned_ = 0;
};

}  // namespace gatehouse
