#include "gateway/plugin/instance.hpp"

#include "gateway/base/refusal.hpp"
#include "gateway/base/start_thread.hpp"
#include "gateway/plugin/epolls.hpp"
#include "gateway/plugin/instance_life.hpp"
#include "gateway/plugin/processors.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <system_error>
#include <utility>

namespace gatehouse {
namespace {

/// A lane lets go of a removed listener when it handles the news; so long its descriptor stays open.
constexpr Nanoseconds kRetireTime = std::chrono::seconds(2);

std::atomic<unsigned> abandoned_in_process{0};

std::string seconds_text(Nanoseconds time) {
  return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(time).count()) + " s";
}

/// Once nothing waits for it any more: a call that is well is over in no time.
bool stays_busy(CallThread& thread) {
  const SteadyTime until = steady_now() + ThreadStack::kPatience;
  while (thread.cancel_waiting()) {
    if (thread.hung() || steady_now() >= until) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

/// What an object that could not be destroyed may go on using.
void keep_for_ever(std::shared_ptr<void> life) {
  static auto* const kept = new std::vector<std::shared_ptr<void>>;
  kept->push_back(std::move(life));
}

}  // namespace

unsigned lane_count(const PluginConfig& plugin) {
  return plugin.lanes != 0 ? plugin.lanes : static_cast<unsigned>(usable_processors().size());
}

unsigned abandoned_threads() noexcept {
  return abandoned_in_process.load(std::memory_order_relaxed) + abandoned_offers();
}

/// A change on its way.
struct Instance::Changing {
  Call call;
  std::optional<Listeners> listeners;  // to come
  std::vector<std::uint32_t> added;    // of these
};

Instance::Instance(const LoadedPlugin& plugin, InstanceSpec spec, std::unique_ptr<Offer> offer,
                   std::function<void()> on_event)
    : spec_(std::move(spec)), life_(std::make_shared<Life>(plugin, spec_.name, std::move(offer))) {
  life_->on_event = on_event;
  control_ = std::make_unique<CallThread>(thread_name(spec_.name, "-c"), spec_.name, spec_.timeout, on_event);
  aside_ = std::make_unique<CallThread>(thread_name(spec_.name, "-w"), spec_.name, spec_.timeout, nullptr);
  static_cast<void>(control("create", [life = life_.get()] { return life->create(); }));
}

Instance::~Instance() {
  if (!life_) return;
  if (!stopped_at_) request_stop(steady_now());
  while (!ended(steady_now())) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

/// `work` may go by the bare pointer of what it keeps alive.
Instance::Call Instance::control(std::string what, std::function<Answer()> work) {
  return control_->ask(std::move(what), [life = life_, work = std::move(work)] { return work(); });
}

Instance::Call Instance::configure(const std::string& options, bool check_only) {
  return control("configure",
                 [life = life_.get(), options, check_only] { return life->configure(options, check_only); });
}

Instance::Call Instance::start(const Listeners& listeners) {
  if (stopped_at_) {
    join_lanes();
    life_->lanes.clear();
    life_->offer->lanes_returned();
    stopped_at_.reset();
    stopping_.reset();
    drained_.reset();
    const std::scoped_lock lock(life_->mutex);
    life_->stopping = false;
    life_->failure.reset();
  }
  life_->sockets.clear();
  for (const auto& listener : listeners) life_->sockets.push_back(dup_for_lanes(listener, spec_.lanes));
  started_ = true;
  return control("start", [life = life_.get(), rows = describe_all(life_->sockets), total = spec_.lanes] {
    return life->start(rows, total);
  });
}

void Instance::open_lanes() {
  const std::vector<int> processors = usable_processors();
  for (std::uint32_t i = 0; i < spec_.lanes; ++i) {
    auto lane = std::make_unique<Lane>();
    lane->host.head.index = i;
    lane->host.head.count = spec_.lanes;
    if (spec_.pin) lane->host.head.cpu = processors[i % processors.size()];
    life_->offer->open_lane(lane->host);
    life_->lanes.push_back(std::move(lane));
  }
}

void Instance::run_lanes() {
  open_lanes();
  for (auto lane = life_->lanes.begin(); lane != life_->lanes.end(); ++lane) {
    const std::string name = thread_name(spec_.name, "-" + std::to_string((*lane)->host.head.index));
    try {
      (*lane)->thread = start_thread(name.c_str(), [life = life_, raw = lane->get()] { life->run(*raw); });
    } catch (const std::system_error& error) {
      life_->lanes.erase(lane, life_->lanes.end());  // those that run are stopped
      throw Refusal("cannot start the lane " + name + ": " + error.code().message());
    }
  }
}

Instance::Call Instance::change(Change change) {
  if (changing_ && changing_->call->is_over()) end_change();
  std::vector<LaneSockets> added;
  std::vector<gh_listener> rows;
  auto changing = std::make_unique<Changing>();
  std::vector<LaneSockets>& now = life_->sockets;
  if (change.listeners) {
    for (const auto& listener : *change.listeners) {
      auto known = std::find_if(now.begin(), now.end(), [&](const auto& one) { return one.listener == listener; });
      if (known == now.end()) {
        known = added.insert(added.end(), dup_for_lanes(listener, spec_.lanes));
        changing->added.push_back(listener->id());
      }
      for (std::uint32_t lane = 0; lane < spec_.lanes; ++lane) {
        rows.push_back(listener->describe(lane, known->fds[lane].get()));
      }
    }
    std::move(added.begin(), added.end(), std::back_inserter(now));
    changing->listeners = change.listeners;
  }
  const char* const what = change.listeners ? "listeners_changed" : "reconfigure";
  changing->call = control(what, [life = life_.get(), change = std::move(change), rows = std::move(rows)] {
    return life->change(change, rows);
  });
  changing_ = std::move(changing);
  return changing_->call;
}

/// Closes what nobody was given in the end, and later what nobody is to use any more.
void Instance::end_change() {
  const std::unique_ptr<Changing> done = std::move(changing_);
  if (!done->listeners || control_->hung()) return;  // one that hangs may use them all
  std::vector<LaneSockets>& now = life_->sockets;
  if (done->call->refusal()) {
    std::erase_if(now, [&](const LaneSockets& one) {
      return std::count(done->added.begin(), done->added.end(), one.listener->id()) != 0;
    });
    return;
  }
  const SteadyTime close_at = steady_now() + kRetireTime;
  for (auto old = now.begin(); old != now.end();) {
    const bool stays = std::count(done->listeners->begin(), done->listeners->end(), old->listener) != 0;
    if (!stays) life_->retired.emplace_back(close_at, std::move(*old));
    old = stays ? std::next(old) : now.erase(old);
  }
  wake(GH_WAKE_LISTENERS);
}

/// How many may be woken.
std::uint32_t Instance::lanes_open() const noexcept { return static_cast<std::uint32_t>(life_->lanes.size()); }

bool Instance::lanes_returned() const {
  if (!life_) return true;
  if (stopping_ && !stopping_->is_over()) return false;
  return std::all_of(life_->lanes.begin(), life_->lanes.end(), [](const auto& lane) { return lane->has_returned(); });
}

Instance::Call Instance::take_sessions(std::shared_ptr<std::vector<ExportRecord>> out) {
  return control("gh.sessions.export/1 take", [life = life_.get(), out = std::move(out)]() -> Answer {
    const Answer why = gatehouse::take_sessions(life->ops(), life->object, *out);
    if (!why) return {};
    return "the sessions of the plugin " + life->name + " could not be taken: " + *why;
  });
}

Instance::Call Instance::put_session(std::shared_ptr<ExportRecord> record) {
  return control("gh.sessions.export/1 put", [life = life_.get(), record = std::move(record)]() -> Answer {
    const Answer why = gatehouse::put_session(life->ops(), life->object, *record);
    if (!why) return {};
    return "the plugin " + life->name + " does not take a session over: " + *why;
  });
}

void Instance::close_untaken() noexcept {
  if (life_) life_->offer->close_untaken();
}

void Instance::wake(std::uint32_t reasons) {
  if (!life_ || stopped_at_ || lanes_open() == 0) return;
  if (life_->reasons.fetch_or(reasons, std::memory_order_relaxed) != 0) return;  // it is on its way
  aside("wake", [life = life_.get(), total = lanes_open()] { life->wake(total, life->reasons.exchange(0)); });
}

/// As control(), on the other thread.
Instance::Call Instance::aside(std::string what, std::function<void()> work) {
  return aside_->ask(std::move(what), [life = life_, work = std::move(work)]() -> Answer {
    work();
    return {};
  });
}

void Instance::drain(SteadyTime deadline) {
  if (!life_ || stopped_at_) return;
  drained_ = aside("drain", [life = life_.get(), deadline = to_ns(deadline), total = lanes_open()] {
    life->drain(deadline, total);
  });
}

Instance::Call Instance::describe(std::shared_ptr<std::vector<SessionState>> states) {
  if (!life_ || stopped_at_ || life_->plugin.describer == nullptr) return nullptr;
  return aside("describe", [life = life_.get(), states = std::move(states)] {
    for (SessionState& state : *states) state.meaning = life->plugin.describe(state.words);
  });
}

std::uint64_t Instance::pending() const { return life_ ? life_->pending.load(std::memory_order_relaxed) : 0; }

bool Instance::is_drained() const {
  return !life_ || (drained_ && drained_->is_over() && !drained_->refusal() && pending() == 0);
}

std::optional<std::string> Instance::failure() const {
  if (!life_) return {};
  const std::scoped_lock lock(life_->mutex);
  return life_->failure;
}

void Instance::fail(const std::string& why) {
  const std::scoped_lock lock(life_->mutex);
  if (!life_->stopping && !life_->failure) life_->failure = why;
}

std::vector<LaneStatus> Instance::lanes() const {
  std::vector<LaneStatus> out;
  if (!life_) return out;
  for (const auto& lane : life_->lanes) {
    out.push_back({lane->host.head.index, lane->host.head.cpu, !lane->has_returned(), lane->cpu_time()});
  }
  return out;
}

void Instance::tick(SteadyTime now) {
  if (!life_) return;
  if (changing_ && changing_->call->is_over()) end_change();
  std::erase_if(life_->retired, [now](const auto& entry) { return entry.first <= now; });
  if (stopped_at_) return;
  if (!life_->pending_asked.exchange(true)) {
    aside("pending", [life = life_.get()] {
      life->pending_asked.store(false);
      life->ask_pending();
    });
  }
  look_at_calls(now);
  look_at_lanes(now);
}

void Instance::look_at_calls(SteadyTime now) {
  for (CallThread* const thread : {control_.get(), aside_.get()}) {
    if (const Answer stray = thread->take_stray()) fail(*stray);
    if (!thread->finds_hung(now)) continue;
    if (thread == aside_.get()) {  // what waited behind that call is gone; should it return, it can be asked again
      life_->reasons.store(0);
      life_->pending_asked.store(false);
    }
    fail(*thread->hung());
    note_hung({{*thread->hung(), &thread->stack()}});
  }
}

void Instance::look_at_lanes(SteadyTime now) {
  const Nanoseconds timeout = spec_.timeout->load(std::memory_order_relaxed);
  const bool was_asked = (life_->reasons.load(std::memory_order_relaxed) & GH_WAKE_ALIVE) == 0 && !aside_->hung();
  bool stands = false;
  Silent found;
  for (const auto& lane : life_->lanes) {
    if (lane->has_returned() || lane->is_hung) continue;
    if (!was_asked) lane->heartbeat.excuse();
    const Heartbeat::Sign sign = lane->heartbeat.look(lane->turns(), now, timeout);
    stands = stands || sign != Heartbeat::Sign::moves;  // asked again each time: it may not have been there before
    if (sign != Heartbeat::Sign::hung) continue;
    lane->is_hung = true;
    found.emplace_back(lane->text() + " hangs: it has not moved for " + seconds_text(timeout), &lane->stack);
  }
  if (stands) wake(GH_WAKE_ALIVE);
  if (found.empty()) return;
  fail(found.front().first);
  note_hung(found);
}

void Instance::note_hung(const Silent& found) {
  for (const auto& [what, stack] : found) stack->ask();
  const SteadyTime until = steady_now() + ThreadStack::kPatience;
  for (const auto& [what, stack] : found) hung_.push_back({what, stack->take(until)});
}

std::vector<Hung> Instance::take_hung() { return std::exchange(hung_, {}); }

void Instance::request_stop(SteadyTime now) {
  if (!life_ || stopped_at_) return;
  {
    const std::scoped_lock lock(life_->mutex);
    life_->stopping = true;
  }
  if (started_) {
    const auto stop = [life = life_.get(), total = lanes_open()] { life->stop(total); };
    stopping_ = aside("stop", stop);
    if (aside_->hung()) {  // it is [any]: the lanes that are well must not go on serving
      stopping_ = control("stop", [stop]() -> Answer {
        stop();
        return {};
      });
    }
  }
  stopped_at_ = now;
}

bool Instance::ended(SteadyTime now) {
  if (!life_) return true;
  if (!destroyed_) {
    if (!lanes_returned()) {
      if (now < *stopped_at_ + kStopTime) return false;
      abandon();
      return true;
    }
    if (!control_->is_idle() || !aside_->is_idle()) {
      look_at_calls(now);
      const bool hangs = control_->hung() || aside_->hung();
      if (!hangs && now < *stopped_at_ + kCallTime) return false;
      abandon();
      return true;
    }
    join_lanes();
    destroyed_ = control("destroy", [life = life_.get()] { return life->destroy(); });
    destroyed_at_ = now;
  }
  if (!destroyed_->is_over() && now < *destroyed_at_ + kCallTime) return false;
  if (!control_->is_idle()) {
    abandon();
  } else {
    if (destroyed_->refusal()) keep_for_ever(life_);
    end_life();
  }
  return true;
}

void Instance::join_lanes() {
  for (const auto& lane : life_->lanes) {
    if (lane->thread.joinable()) lane->thread.join();
  }
}

/// Nothing runs any more but what was given up.
void Instance::end_life() {
  control_.reset();
  aside_.reset();
  changing_.reset();
  life_.reset();
}

/// Its listeners are the next instance's alone, or their ports free.
void Instance::revoke_sockets() {
  const std::vector<int> epolls = epolls_of_process();
  const auto take = [&](LaneSockets& sockets) {
    if (std::string left = revoke(sockets, epolls); !left.empty()) hung_.emplace_back().what = std::move(left);
  };
  for (LaneSockets& one : life_->sockets) take(one);
  for (auto& [at, one] : life_->retired) take(one);
}

void Instance::abandon() {
  Silent found;
  std::vector<Lane*> stuck;
  std::vector<ThreadStack*> left;  // of all threads that stay
  for (const auto& lane : life_->lanes) {
    if (lane->has_returned()) continue;
    stuck.push_back(lane.get());
    left.push_back(&lane->stack);
    if (!lane->is_hung) found.emplace_back(lane->text() + " did not return when it was stopped", &lane->stack);
  }
  for (CallThread* const thread : {control_.get(), aside_.get()}) {
    if (!stays_busy(*thread)) continue;
    ++abandoned_calls_;
    left.push_back(&thread->stack());
    if (!thread->hung()) found.emplace_back("`" + thread->running() + "` did not return", &thread->stack());
  }
  note_hung(found);
  abandoned_lanes_ = static_cast<unsigned>(stuck.size());
  abandoned_in_process.fetch_add(abandoned_lanes_ + abandoned_calls_, std::memory_order_relaxed);
  {
    const std::scoped_lock lock(life_->mutex);
    life_->on_event = nullptr;
  }
  life_->offer->abandoned();
  revoke_sockets();
  // A system call that waits in a listener's socket goes on waiting there, whatever is under the number, and would take
  // the next datagram or connection from the next instance. A signal has it begin anew, by the number.
  for (ThreadStack* const one : left) one->ask();
  for (Lane* const lane : stuck) lane->thread.detach();
  join_lanes();
  end_life();
}

}  // namespace gatehouse
