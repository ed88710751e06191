// The usual shape of a plugin: immutable settings made from its options, and one worker a lane that owns everything
// else. LanePlugin does the border's bookkeeping; an author writes the two classes.
#pragma once

#include <gatehouse/plugin/lane_context.hpp>
#include <gatehouse/plugin/plugin.hpp>

#include <mutex>
#include <optional>
#include <variant>

namespace gatehouse {

/// Why the host wakes a lane, beyond what has a call of its own.
struct WakeReasons {
  bool certificates = false;  ///< a listener's chain or key is another one
  bool ranges = false;        ///< what may be handed out of a numbered space has changed
  std::uint32_t others = 0;   ///< bits of a later version of the border
};

/// One lane at work. Made, called and destroyed on the lane's thread.
class LaneWorker {
 public:
  virtual ~LaneWorker() = default;
  /// The complete set of this lane's listeners; those of an earlier call that are missing are to be let go.
  virtual void listen(const std::vector<Listener>& listeners) = 0;
  /// No new clients; the host stops the lane at `deadline`, or when pending() of all lanes is 0.
  virtual void drain(SteadyTime deadline) = 0;
  /// The lane has moved to a policy of this generation, at the begin of a turn: running flows are to be judged again.
  /// Verdicts are of one generation for the whole turn.
  virtual void policy_changed(std::uint64_t /*generation*/) {}
  /// Something that the lane uses has changed; several reasons may come together.
  virtual void woken(WakeReasons /*reasons*/) {}
};

/// Worker needs a constructor (const LaneContext&, std::shared_ptr<const Settings>) and
/// `void configure(std::shared_ptr<const Settings>)` for changes at run time.
/// Settings needs a constructor (const Options&) that throws std::invalid_argument, and
/// `void check_change(const Settings& from) const` that throws NeedsRestart.
///
/// Shared, if there is one, is what the lanes have in common, such as what an earlier process left: made in start() by
/// (const StartContext&, const Settings&), before any lane runs, and passed to Worker's constructor as a third
/// argument, Shared&. What lanes use of it must be constant, or thread-safe by itself.
template <class Worker, class Settings, class Shared = void>
class LanePlugin : public Plugin {
 public:
  /// For make_manifest(): `using LanePlugin::LanePlugin;` in the plugin's class.
  explicit LanePlugin(Host host) : host_(std::move(host)) {}

  void configure(const Options& options, bool check_only) override {
    auto settings = std::make_shared<const Settings>(options);
    if (!check_only) settings_ = std::move(settings);
  }

  void start(const StartFacts& facts) override {
    if constexpr (kShares) {
      if (!shared_) shared_.emplace(StartContext{host_, add_queue(), facts.lanes, facts.listeners}, *settings_);
    }
    const std::scoped_lock lock(mutex_);
    listeners_ = facts.listeners;
    stopped_ = false;
    drain_by_.reset();
  }

  void reconfigure(const Options& options) override {
    auto settings = std::make_shared<const Settings>(options);
    settings->check_change(*settings_);
    const std::scoped_lock lock(mutex_);
    settings_ = settings;
    for (Seat* seat : seats_) seat->loop.post([seat, settings] { seat->worker->configure(settings); });
  }

  void listeners_changed(const std::vector<Listener>& listeners) override {
    const std::scoped_lock lock(mutex_);
    listeners_ = listeners;
    for (Seat* seat : seats_)
      seat->loop.post([seat, mine = of_lane(listeners, seat->lane)] { seat->worker->listen(mine); });
  }

  void run_lane(gh_lane* lane) override {
    Seat seat(lane->index, add_queue());
    const LaneContext context{host_, lane, seat.loop, pending_, seat.completions};
    std::unique_lock lock(mutex_);
    if (stopped_) return;
    const auto settings = settings_;
    const auto mine = of_lane(listeners_, lane->index);
    const auto drain_by = drain_by_;
    seats_.push_back(&seat);  // from here on calls of others wait in the loop
    lock.unlock();
    const Leave leave{*this, seat};
    if constexpr (kShares) {
      seat.worker.emplace(context, settings, *shared_);
    } else {
      seat.worker.emplace(context, settings);
    }
    seat.loop.before_turn([&seat, &context, &policy = host_.policy()] {
      std::atomic_ref turns(context.lane->turns);
      turns.store(turns.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
      const std::uint64_t generation = policy.refresh(policy.context, context.lane);
      if (generation != std::exchange(seat.generation, generation)) seat.worker->policy_changed(generation);
    });
    seat.worker->listen(mine);
    if (drain_by) seat.worker->drain(*drain_by);
    seat.loop.post([] {});  // a first turn: the worker knows the policy before anybody comes
    seat.loop.run();
    seat.worker.reset();
  }

  void wake(std::uint32_t lane, std::uint32_t reasons) override {
    // Each call on the loop is a turn: it raises the lane's heartbeat and takes a new policy.
    constexpr std::uint32_t kKnown = 2 * GH_WAKE_ALIVE - 1;
    const WakeReasons why{(reasons & GH_WAKE_CERTIFICATES) != 0, (reasons & GH_WAKE_RANGES) != 0, reasons & ~kKnown};
    const std::scoped_lock lock(mutex_);
    for (Seat* seat : seats_)
      if (seat->lane == lane) seat->loop.post([seat, why] { seat->wake(why); });
  }

  void drain(SteadyTime deadline) override {
    const std::scoped_lock lock(mutex_);
    drain_by_ = deadline;
    for (Seat* seat : seats_) seat->loop.post([seat, deadline] { seat->worker->drain(deadline); });
  }

  [[nodiscard]] std::uint64_t pending() override { return pending_.load(std::memory_order_relaxed); }

  void stop() override {
    const std::scoped_lock lock(mutex_);
    stopped_ = true;
    for (Seat* seat : seats_) seat->loop.stop();
  }

 private:
  static constexpr bool kShares = !std::is_void_v<Shared>;

  struct Seat {
    Seat(std::uint32_t index, CompletionQueue& queue) : lane(index), completions(queue) {
      completions.watch(loop.poller());
    }
    ~Seat() {
      worker.reset();
      completions.unwatch(loop.poller());
    }
    void wake(const WakeReasons& why) {
      if (why.certificates || why.ranges || why.others != 0) worker->woken(why);
    }
    std::uint32_t lane;
    CompletionQueue& completions;
    std::uint64_t generation = 0;
    LaneLoop loop;
    std::optional<Worker> worker;
  };
  struct Leave {  // also when the lane ends by an exception
    LanePlugin& plugin;
    Seat& seat;
    ~Leave() {
      const std::scoped_lock lock(plugin.mutex_);
      std::erase(plugin.seats_, &seat);
    }
  };

  /// Lives until destroy(), since the host may complete until then.
  CompletionQueue& add_queue() {
    const std::scoped_lock lock(mutex_);
    return *queues_.emplace_back(std::make_unique<CompletionQueue>());
  }

  static std::vector<Listener> of_lane(const std::vector<Listener>& all, std::uint32_t lane) {
    std::vector<Listener> out;
    std::copy_if(all.begin(), all.end(), std::back_inserter(out),
                 [lane](const Listener& listener) { return listener.lane == lane; });
    return out;
  }

  Host host_;
  std::atomic<std::uint64_t> pending_{0};
  std::mutex mutex_;  // guards what follows; never held while a packet is handled
  std::shared_ptr<const Settings> settings_;
  std::vector<Listener> listeners_;
  std::vector<Seat*> seats_;
  bool stopped_ = false;
  std::optional<SteadyTime> drain_by_;
  std::vector<std::unique_ptr<CompletionQueue>> queues_;
  std::conditional_t<kShares, std::optional<Shared>, std::monostate> shared_;  // as start() made it
};

}  // namespace gatehouse
