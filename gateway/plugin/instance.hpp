// One life of a plugin, from create() to destroy(), with the threads of its lanes and of the calls to it.
#pragma once

#include <gatehouse/base/clock.hpp>

#include "gateway/base/offer.hpp"
#include "gateway/plugin/call_thread.hpp"
#include "gateway/plugin/export_record.hpp"
#include "gateway/plugin/listeners.hpp"
#include "gateway/plugin/loader.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace gatehouse {

/// How many lanes `plugin` gets: what it says, or one for each processor that this process may use.
[[nodiscard]] unsigned lane_count(const PluginConfig& plugin);

/// Threads of plugins that this process has given up. Above 0 it must end without running static destructors: their
/// code may still run, and nothing may be pulled from under it.
[[nodiscard]] unsigned abandoned_threads() noexcept;

struct InstanceSpec {
  std::string name;  ///< of the configuration, "udpgw"; lanes are threads named gh-NAME-0, -1, ...
  unsigned lanes = 1;
  bool pin = false;  ///< lane i runs on the i-th processor that this process may use
  std::shared_ptr<const PluginTimeout> timeout = std::make_shared<PluginTimeout>(std::chrono::seconds(10));
};

struct LaneStatus {
  unsigned index = 0;
  int cpu = -1;  ///< pinned to, or -1
  bool running = false;
  Nanoseconds cpu_time{0};  ///< of its thread
};

/// The two words that a plugin sets in a session's cells (gh_session_cells.state), and what they mean for people.
struct SessionState {
  std::array<std::uint64_t, 2> words;
  std::string meaning;
};

/// What of a plugin does not answer.
struct Hung {
  std::string what;                ///< a sentence
  std::vector<std::string> stack;  ///< of its thread, the innermost function first; empty where it cannot be had
};

/// Control thread only, and no function waits. `on_event` is called on other threads when a lane has ended or a call is
/// over: let it post a message to the control thread and nothing else.
///
/// The plugin is called on two threads of the instance's own: [control] functions one after another on gh-NAME-c,
/// wake(), drain(), stop(), pending() and describe() on gh-NAME-w, so that they get through while the other one is
/// busy.
///
/// A lane that has not returned one second after request_stop() is abandoned, and so is a call that has not returned
/// five seconds after it: its thread is detached, and all that it may still touch (the plugin's object, the services'
/// tables, what it has opened) stays as it is, but for its listeners' sockets, see revoke().
class Instance {
 public:
  static constexpr Nanoseconds kStopTime = std::chrono::seconds(1);
  static constexpr Nanoseconds kCallTime = std::chrono::seconds(5);

  using Call = std::shared_ptr<const PluginCall>;
  using Listeners = std::vector<std::shared_ptr<const BoundListener>>;

  /// Asks for create(); when that is refused, so is all that comes after it. @throws Refusal when there is no thread
  Instance(const LoadedPlugin& plugin, InstanceSpec spec, std::unique_ptr<Offer> offer, std::function<void()> on_event);
  /// Stops it, if that was not done before, and waits until it has ended: kStopTime and twice kCallTime at most.
  ~Instance();
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  /// Hands over `options`, a JSON object. With `check_only`, without any effect.
  Call configure(const std::string& options, bool check_only);
  /// Hands over the listeners. Refused when configure() was. Lanes are held back until run_lanes(). May follow
  /// request_stop() once lanes_returned(), and ends the stop: then the lanes are to run again. @throws Refusal
  Call start(const Listeners& listeners);
  /// Once start() is over and well. @throws Refusal when the system gives no threads; then request_stop() it
  void run_lanes();

  struct Change {
    std::optional<std::string> options;
    std::string options_before;
    std::optional<Listeners> listeners;
  };
  /// Changes options, or the set of listeners, or both, while lanes run; refused, all is as before. Once at a time.
  /// @throws Refusal
  Call change(Change change);

  // ---- a replacement
  /// All its lanes have returned, after request_stop() or by themselves, and so has stop(); or it has none yet.
  [[nodiscard]] bool lanes_returned() const;
  /// Takes every session out; lanes_returned(). What it gave is in `out`, also when it is refused.
  Call take_sessions(std::shared_ptr<std::vector<ExportRecord>> out);
  /// Between start() and run_lanes(). The record's descriptors stay with it when it is refused.
  Call put_session(std::shared_ptr<ExportRecord> record);

  /// It has run for a while: what an earlier instance kept for it and it did not take is closed.
  void close_untaken() noexcept;

  void wake(std::uint32_t reasons);
  void drain(SteadyTime deadline);
  /// Asks what each of `states` means (gh.sessions.describe/1); they are the caller's again when the call is over. Null
  /// where the plugin does not say, or has ended.
  Call describe(std::shared_ptr<std::vector<SessionState>> states);
  /// Clients still served, as the plugin said last; tick() asks it again.
  [[nodiscard]] std::uint64_t pending() const;
  /// drain() has reached the plugin, and nobody has been served since.
  [[nodiscard]] bool is_drained() const;
  /// Why a lane ended without being asked to, or what hangs; nothing while all is well.
  [[nodiscard]] std::optional<std::string> failure() const;
  [[nodiscard]] std::vector<LaneStatus> lanes() const;

  /// Looks after lanes and calls, and closes what has been out of use for long enough.
  void tick(SteadyTime now);
  /// What was found to hang since this was asked last. Waits for stacks, ThreadStack::kPatience at most.
  [[nodiscard]] std::vector<Hung> take_hung();

  /// Asks every lane to return. See ended().
  void request_stop(SteadyTime now);
  /// After request_stop(): is it over? Destroys the plugin's object once every lane has returned, and abandons what has
  /// not when its time is up. Call it until it is true.
  [[nodiscard]] bool ended(SteadyTime now);
  /// Lanes and calls that never returned.
  [[nodiscard]] unsigned abandoned_lanes() const noexcept { return abandoned_lanes_; }
  [[nodiscard]] unsigned abandoned_calls() const noexcept { return abandoned_calls_; }

 private:
  struct Lane;
  struct Life;
  struct Changing;

  using Silent = std::vector<std::pair<std::string, ThreadStack*>>;

  Call control(std::string what, std::function<Answer()> work);
  Call aside(std::string what, std::function<void()> work);
  void open_lanes();
  [[nodiscard]] std::uint32_t lanes_open() const noexcept;
  void end_change();
  void look_at_calls(SteadyTime now);
  void look_at_lanes(SteadyTime now);
  void note_hung(const Silent& found);
  void fail(const std::string& why);
  void join_lanes();
  void end_life();
  void abandon();
  void revoke_sockets();

  InstanceSpec spec_;
  std::shared_ptr<Life> life_;  // shared with all threads; null once ended
  std::unique_ptr<CallThread> control_, aside_;
  std::unique_ptr<Changing> changing_;
  bool started_ = false;
  Call drained_, stopping_, destroyed_;
  std::optional<SteadyTime> stopped_at_, destroyed_at_;
  std::vector<Hung> hung_;
  unsigned abandoned_lanes_ = 0, abandoned_calls_ = 0;
};

}  // namespace gatehouse
