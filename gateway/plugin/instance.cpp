#include "gateway/plugin/instance.hpp"

#include "gateway/base/block_signals.hpp"
#include "gateway/base/border.hpp"
#include "gateway/base/refusal.hpp"

#include <pthread.h>
#include <sched.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

namespace gatehouse {
namespace {

/// A lane lets go of a removed listener when it handles the news; so long its descriptor stays open.
constexpr Nanoseconds kRetireTime = std::chrono::seconds(2);

/// Room for what a plugin says about a failure.
class Message {
 public:
  [[nodiscard]] gh_message* out() noexcept { return &message_; }
  /// The sentence, or a general one for `status`.
  [[nodiscard]] std::string words(gh_status status) const {
    if (message_.size > 0) return {text_.data(), std::min(message_.size, text_.size())};
    return "status " + std::to_string(status) + " without a message";
  }

 private:
  std::array<char, 1024> text_;
  gh_message message_{text_.data(), text_.size(), 0};
};

/// Processors that this process may use, in order.
std::vector<int> usable_processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> out;
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (CPU_ISSET(cpu, &set)) out.push_back(cpu);
    }
  }
  if (out.empty()) out.push_back(0);
  return out;
}

void pin_this_thread(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

Nanoseconds read_clock(clockid_t clock) noexcept {
  timespec now{};
  if (clock_gettime(clock, &now) != 0) return Nanoseconds(0);
  return std::chrono::seconds(now.tv_sec) + Nanoseconds(now.tv_nsec);
}

}  // namespace

unsigned lane_count(const PluginConfig& plugin) {
  return plugin.lanes != 0 ? plugin.lanes : static_cast<unsigned>(usable_processors().size());
}

struct Instance::Lane {
  HostLane host;
  std::thread thread;
  std::atomic<clockid_t> clock{-1};       // of the thread, once it runs
  std::atomic<std::int64_t> cpu_time{0};  // ns, once it has returned
  std::atomic<bool> returned{false};
};

/// All that a lane's thread may touch. Freed by whoever lets go of it last, which is an abandoned lane's thread if
/// that ever returns; the plugin's object is then never destroyed.
struct Instance::Life {
  explicit Life(const LoadedPlugin& p, std::unique_ptr<Offer> o) : plugin(p), offer(std::move(o)) {}

  [[nodiscard]] const gh_plugin_ops& ops() const noexcept { return *plugin.manifest->ops; }

  void run(Lane& lane, const std::string& thread_name) noexcept {
    pthread_setname_np(pthread_self(), thread_name.c_str());
    if (lane.host.head.cpu >= 0) pin_this_thread(lane.host.head.cpu);
    clockid_t clock{};
    pthread_getcpuclockid(pthread_self(), &clock);
    lane.clock.store(clock, std::memory_order_release);

    Message why;
    const gh_status status = ops().run_lane(object, &lane.host.head, why.out());

    lane.cpu_time.store(read_clock(CLOCK_THREAD_CPUTIME_ID).count(), std::memory_order_relaxed);
    const std::scoped_lock lock(mutex);
    const std::string which = "lane " + std::to_string(lane.host.head.index);
    if (!stopping && !failure) {
      failure = which + (status < 0 ? " failed: " + why.words(status) : " returned without having been stopped");
    }
    lane.returned.store(true, std::memory_order_release);
    if (on_lane_end) on_lane_end();
  }

  const LoadedPlugin plugin;
  const std::unique_ptr<Offer> offer;
  gh_host host{sizeof(gh_host), GH_ABI_MINOR, this,
               [](void* life, const char* id) { return static_cast<Life*>(life)->offer->find(id); }};
  gh_instance* object = nullptr;
  std::vector<std::unique_ptr<Lane>> lanes;
  std::vector<LaneSockets> sockets;
  std::vector<std::pair<SteadyTime, LaneSockets>> retired;  // and when they may be closed

  std::mutex mutex;  // guards what follows
  bool stopping = false;
  std::optional<std::string> failure;
  std::function<void()> on_lane_end;
};

Instance::Instance(const LoadedPlugin& plugin, InstanceSpec spec, std::unique_ptr<Offer> offer,
                   std::function<void()> on_lane_end)
    : spec_(std::move(spec)), life_(std::make_shared<Life>(plugin, std::move(offer))) {
  life_->on_lane_end = std::move(on_lane_end);
  Message why;
  const gh_status status = life_->ops().create(&life_->host, border_bytes(spec_.name), &life_->object, why.out());
  if (status < 0) throw Refusal("the plugin " + spec_.name + " could not be created: " + why.words(status));
}

Instance::~Instance() {
  if (!life_) return;
  if (!stop_deadline_) request_stop(steady_now());
  while (!ended(steady_now())) std::this_thread::sleep_for(std::chrono::milliseconds(2));
}

void Instance::configure(const std::string& options, bool check_only) {
  Message why;
  const gh_status status =
      life_->ops().configure(life_->object, border_bytes(options), check_only ? GH_CONFIGURE_CHECK : 0, why.out());
  if (status < 0) throw Refusal("the plugin " + spec_.name + " refuses its options: " + why.words(status));
}

void Instance::start(const std::vector<std::shared_ptr<const BoundListener>>& listeners) {
  for (const auto& listener : listeners) life_->sockets.push_back(dup_for_lanes(listener, spec_.lanes));
  const std::vector<gh_listener> rows = describe_all(life_->sockets);
  const gh_start start{sizeof start, spec_.lanes, rows.data(), rows.size()};
  Message why;
  const gh_status status = life_->ops().start(life_->object, &start, why.out());
  if (status < 0) throw Refusal("the plugin " + spec_.name + " could not be started: " + why.words(status));
  start_lanes();
}

void Instance::start_lanes() {
  const std::vector<int> processors = usable_processors();
  for (std::uint32_t i = 0; i < spec_.lanes; ++i) {
    auto lane = std::make_unique<Lane>();
    lane->host.head.index = i;
    lane->host.head.count = spec_.lanes;
    if (spec_.pin) lane->host.head.cpu = processors[i % processors.size()];
    life_->offer->open_lane(lane->host);
    life_->lanes.push_back(std::move(lane));
  }
  const BlockSignals block;
  for (auto lane = life_->lanes.begin(); lane != life_->lanes.end(); ++lane) {
    const std::string index = "-" + std::to_string((*lane)->host.head.index);
    const std::string name = ("gh-" + spec_.name).substr(0, 15 - index.size()) + index;  // the kernel keeps 15
    try {
      (*lane)->thread = std::thread([life = life_, raw = lane->get(), name] { life->run(*raw, name); });
    } catch (const std::system_error& error) {
      life_->lanes.erase(lane, life_->lanes.end());  // the destructor ends those that run
      throw Refusal("cannot start the lane " + name + ": " + error.code().message());
    }
  }
}

void Instance::reconfigure(const std::string& options) {
  Message why;
  const gh_status status = life_->ops().reconfigure(life_->object, border_bytes(options), why.out());
  if (status < 0) throw Refusal("the plugin " + spec_.name + " cannot change its options now: " + why.words(status));
}

void Instance::change_listeners(const std::vector<std::shared_ptr<const BoundListener>>& listeners) {
  std::vector<LaneSockets> added;
  std::vector<gh_listener> rows;
  const auto is_of = [](std::uint32_t id) {
    return [id](const LaneSockets& sockets) { return sockets.listener->id() == id; };
  };
  std::vector<LaneSockets>& now = life_->sockets;
  for (const auto& listener : listeners) {
    auto known = std::find_if(now.begin(), now.end(), is_of(listener->id()));
    if (known == now.end()) known = added.insert(added.end(), dup_for_lanes(listener, spec_.lanes));
    for (std::uint32_t lane = 0; lane < spec_.lanes; ++lane) {
      rows.push_back(listener->describe(lane, known->fds[lane].get()));
    }
  }
  Message why;
  const gh_status status = life_->ops().listeners_changed(life_->object, rows.data(), rows.size(), why.out());
  if (status < 0) throw Refusal("the plugin " + spec_.name + " cannot change its listeners now: " + why.words(status));

  const SteadyTime close_at = steady_now() + kRetireTime;
  for (auto old = now.begin(); old != now.end();) {
    const bool stays = std::any_of(listeners.begin(), listeners.end(),
                                   [&](const auto& listener) { return listener->id() == old->listener->id(); });
    if (!stays) life_->retired.emplace_back(close_at, std::move(*old));
    old = stays ? std::next(old) : now.erase(old);
  }
  std::move(added.begin(), added.end(), std::back_inserter(now));
  wake(GH_WAKE_LISTENERS);
}

void Instance::wake(std::uint32_t reasons) {
  for (std::uint32_t lane = 0; lane < life_->lanes.size(); ++lane) life_->ops().wake(life_->object, lane, reasons);
}

void Instance::drain(SteadyTime deadline) {
  life_->ops().drain(life_->object, to_ns(deadline));
  wake(GH_WAKE_DRAIN);
}

std::uint64_t Instance::pending() const { return life_ ? life_->ops().pending(life_->object) : 0; }

std::optional<std::string> Instance::failure() const {
  if (!life_) return {};
  const std::scoped_lock lock(life_->mutex);
  return life_->failure;
}

std::vector<LaneStatus> Instance::lanes() const {
  std::vector<LaneStatus> out;
  if (!life_) return out;
  for (const auto& lane : life_->lanes) {
    LaneStatus status{lane->host.head.index, lane->host.head.cpu, !lane->returned.load(std::memory_order_acquire),
                      Nanoseconds(0)};
    const clockid_t clock = lane->clock.load(std::memory_order_acquire);
    status.cpu_time = status.running ? (clock == -1 ? Nanoseconds(0) : read_clock(clock))
                                     : Nanoseconds(lane->cpu_time.load(std::memory_order_relaxed));
    out.push_back(status);
  }
  return out;
}

void Instance::request_stop(SteadyTime now) {
  if (!life_ || stop_deadline_) return;
  stop_deadline_ = now + kStopTime;
  {
    const std::scoped_lock lock(life_->mutex);
    life_->stopping = true;
  }
  if (life_->object == nullptr || life_->lanes.empty()) return;
  life_->ops().stop(life_->object);
  wake(GH_WAKE_STOP);
}

bool Instance::ended(SteadyTime now) {
  if (!life_) return true;
  const auto returned = [](const auto& lane) { return lane->returned.load(std::memory_order_acquire); };
  if (std::all_of(life_->lanes.begin(), life_->lanes.end(), returned)) {
    for (const auto& lane : life_->lanes) lane->thread.join();
    life_->offer->let_go();
    life_->ops().destroy(life_->object);
    life_.reset();
    return true;
  }
  if (now < *stop_deadline_) return false;
  abandon();
  return true;
}

void Instance::abandon() {
  {
    const std::scoped_lock lock(life_->mutex);
    life_->on_lane_end = nullptr;
  }
  for (const auto& lane : life_->lanes) {
    if (lane->returned.load(std::memory_order_acquire)) {
      lane->thread.join();
    } else {
      lane->thread.detach();
      ++abandoned_;
    }
  }
  life_.reset();
}

void Instance::tick(SteadyTime now) {
  if (!life_) return;
  std::erase_if(life_->retired, [now](const auto& entry) { return entry.first <= now; });
}

}  // namespace gatehouse
