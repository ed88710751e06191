// What the threads of an instance share: the plugin's object and everything that it may still touch when one of them
// never returns. For instance.cpp and instance_life.cpp only.
#pragma once

#include "gateway/plugin/heartbeat.hpp"
#include "gateway/plugin/instance.hpp"

#include <atomic>
#include <mutex>
#include <thread>
#include <utility>

namespace gatehouse {

struct Instance::Lane {
  HostLane host;
  ThreadStack stack;
  std::thread thread;
  std::atomic<clockid_t> clock{-1};    // of the thread, once it runs
  std::atomic<std::int64_t> spent{0};  // ns of processor time, once it has returned
  std::atomic<bool> returned{false};
  Heartbeat heartbeat;  // the control thread's, as what follows
  bool is_hung = false;

  [[nodiscard]] bool has_returned() const noexcept { return returned.load(std::memory_order_acquire); }
  [[nodiscard]] std::uint64_t turns() noexcept {
    return std::atomic_ref(host.head.turns).load(std::memory_order_relaxed);
  }
  [[nodiscard]] Nanoseconds cpu_time() const noexcept;
  /// "lane 0"
  [[nodiscard]] std::string text() const { return "lane " + std::to_string(host.head.index); }
};

/// Freed by whoever lets go of it last, which is an abandoned thread if that ever returns; the plugin's object is then
/// never destroyed.
struct Instance::Life {
  Life(const LoadedPlugin& p, std::string n, std::unique_ptr<Offer> o)
      : plugin(p), name(std::move(n)), offer(std::move(o)) {}

  [[nodiscard]] const gh_plugin_ops& ops() const noexcept { return *plugin.manifest->ops; }

  // ---- on gh-NAME-c
  Answer create();
  Answer configure(const std::string& options, bool check_only);
  Answer start(const std::vector<gh_listener>& rows, std::uint32_t lane_total);
  Answer change(const Change& what, const std::vector<gh_listener>& rows);
  Answer destroy();

  // ---- on gh-NAME-w
  void wake(std::uint32_t lane_total, std::uint32_t why);
  void drain(std::uint64_t deadline_ns, std::uint32_t lane_total);
  void stop(std::uint32_t lane_total);
  void ask_pending();

  // ---- on a lane's thread
  /// Returns, too, when the plugin throws; unwinds when it ends the thread.
  void run(Lane& lane);

  const LoadedPlugin plugin;
  const std::string name;
  const std::unique_ptr<Offer> offer;
  gh_host host{sizeof(gh_host), GH_ABI_MINOR, this,
               [](void* life, const char* id) noexcept { return static_cast<Life*>(life)->offer->find(id); }};
  std::atomic<gh_instance*> object{nullptr};
  Answer unfit;                           // gh-NAME-c's: why it cannot be started
  std::atomic<std::uint32_t> reasons{0};  // to wake lanes for, once gh-NAME-w comes to it
  std::atomic<std::uint64_t> pending{0};
  std::atomic<bool> pending_asked{false};

  // the control thread's
  std::vector<std::unique_ptr<Lane>> lanes;
  std::vector<LaneSockets> sockets;
  std::vector<std::pair<SteadyTime, LaneSockets>> retired;  // and when they may be closed

  std::mutex mutex;  // guards what follows
  bool stopping = false;
  std::optional<std::string> failure;
  std::function<void()> on_event;

 private:
  Answer reconfigure(const std::string& options);
  std::string run_contained(Lane& lane);
  void note_end(Lane& lane, const std::string& how);
};

}  // namespace gatehouse
