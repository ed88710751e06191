// Every call of a plugin's functions but for get(), each on the thread that the border gives it.
#include "gateway/plugin/instance_life.hpp"

#include "gateway/plugin/plugin_message.hpp"
#include "gateway/plugin/processors.hpp"

#include <gatehouse/plugin/border.hpp>

#include <cxxabi.h>
#include <pthread.h>
#include <time.h>

#include <exception>

namespace gatehouse {
namespace {

Nanoseconds read_clock(clockid_t clock) noexcept {
  timespec now{};
  if (clock_gettime(clock, &now) != 0) return Nanoseconds(0);
  return std::chrono::seconds(now.tv_sec) + Nanoseconds(now.tv_nsec);
}

}  // namespace

Nanoseconds Instance::Lane::cpu_time() const noexcept {
  if (has_returned()) return Nanoseconds(spent.load(std::memory_order_relaxed));
  const clockid_t of_thread = clock.load(std::memory_order_acquire);
  return of_thread == -1 ? Nanoseconds(0) : read_clock(of_thread);
}

Answer Instance::Life::create() {
  unfit = "the plugin " + name + " could not be created";  // should it throw
  PluginMessage why;
  gh_instance* made = nullptr;
  const gh_status status = ops().create(&host, to_border(name), &made, why.out());
  if (status < 0) return unfit = "the plugin " + name + " could not be created: " + why.words(status);
  if (made == nullptr) return unfit = "the plugin " + name + " says that it was created, and gives no instance";
  object.store(made, std::memory_order_release);
  return unfit = {};
}

Answer Instance::Life::configure(const std::string& options, bool check_only) {
  if (object == nullptr) return unfit;
  if (!check_only) unfit = "the plugin " + name + " could not be configured";  // should it throw
  PluginMessage why;
  const std::uint32_t flags = check_only ? GH_CONFIGURE_CHECK : 0;
  const gh_status status = ops().configure(object, to_border(options), flags, why.out());
  if (status >= 0) {
    if (!check_only) unfit = {};
    return {};
  }
  Answer refusal = "the plugin " + name + " refuses its options: " + why.words(status);
  if (!check_only) unfit = refusal;
  return refusal;
}

Answer Instance::Life::start(const std::vector<gh_listener>& rows, std::uint32_t lane_total) {
  if (unfit) return unfit;
  const gh_start facts{sizeof facts, lane_total, rows.data(), rows.size()};
  PluginMessage why;
  const gh_status status = ops().start(object, &facts, why.out());
  if (status >= 0) return {};
  return "the plugin " + name + " could not be started: " + why.words(status);
}

Answer Instance::Life::reconfigure(const std::string& options) {
  PluginMessage why;
  const gh_status status = ops().reconfigure(object, to_border(options), why.out());
  if (status >= 0) return {};
  return "the plugin " + name + " cannot change its options now: " + why.words(status);
}

Answer Instance::Life::change(const Change& what, const std::vector<gh_listener>& rows) {
  if (what.options) {
    if (Answer refusal = reconfigure(*what.options)) return refusal;
  }
  if (!what.listeners) return {};
  PluginMessage why;
  const gh_status status = ops().listeners_changed(object, rows.data(), rows.size(), why.out());
  if (status >= 0) return {};
  std::string refusal = "the plugin " + name + " cannot change its listeners now: " + why.words(status);
  if (what.options) {
    if (const Answer again = reconfigure(what.options_before)) refusal += "; while going back: " + *again;
  }
  return refusal;
}

Answer Instance::Life::destroy() {
  offer->let_go();
  if (gh_instance* const last = object.exchange(nullptr)) ops().destroy(last);
  return {};
}

void Instance::Life::wake(std::uint32_t lane_total, std::uint32_t why) {
  if (object == nullptr) return;
  for (std::uint32_t lane = 0; lane < lane_total; ++lane) ops().wake(object, lane, why);
}

void Instance::Life::drain(std::uint64_t deadline_ns, std::uint32_t lane_total) {
  if (object == nullptr) return;
  ops().drain(object, deadline_ns);
  wake(lane_total, GH_WAKE_DRAIN);
  ask_pending();
}

void Instance::Life::stop(std::uint32_t lane_total) {
  if (object == nullptr) return;
  ops().stop(object);
  wake(lane_total, GH_WAKE_STOP);
}

void Instance::Life::ask_pending() {
  if (object != nullptr) pending.store(ops().pending(object), std::memory_order_relaxed);
}

void Instance::Life::run(Lane& lane) {
  if (lane.host.head.cpu >= 0) pin_this_thread(lane.host.head.cpu);
  clockid_t of_thread{};
  pthread_getcpuclockid(pthread_self(), &of_thread);
  lane.clock.store(of_thread, std::memory_order_release);

  struct Ending {
    Life& life;
    Lane& lane;
    std::string how = "ended its thread";
    ~Ending() { life.note_end(lane, how); }
  } ending{*this, lane};
  const ThreadStack::Attached attached(lane.stack);
  ending.how = run_contained(lane);
}

/// What must not pass the border is caught here, but for the end of the thread. @return what became of it
std::string Instance::Life::run_contained(Lane& lane) {
  PluginMessage why;
  try {
    const gh_status status = ops().run_lane(object, &lane.host.head, why.out());
    return status < 0 ? "failed: " + why.words(status) : "returned without having been stopped";
  } catch (const abi::__forced_unwind&) {
    throw;
  } catch (const std::exception& error) {
    return std::string("threw an exception across the border: ") + error.what();
  } catch (...) {
    return "threw something across the border";
  }
}

void Instance::Life::note_end(Lane& lane, const std::string& how) {
  lane.spent.store(read_clock(CLOCK_THREAD_CPUTIME_ID).count(), std::memory_order_relaxed);
  const std::scoped_lock lock(mutex);
  if (!stopping && !failure) failure = lane.text() + ' ' + how;
  lane.returned.store(true, std::memory_order_release);
  if (on_event) on_event();
}

}  // namespace gatehouse
