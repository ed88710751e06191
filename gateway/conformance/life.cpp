// Stages: listeners of each role; start; an idle heartbeat; clients, from here on to the end; a heartbeat beside them,
// changes, drain, stop; what is left after destroy.
#include "gateway/conformance/life.hpp"

#include <gatehouse/base/clock.hpp>
#include <gatehouse/testkit/plugin_runner.hpp>

#include "gateway/conformance/private_network.hpp"
#include "gateway/conformance/process_state.hpp"
#include "gateway/conformance/rough_clients.hpp"

#include <boost/system/system_error.hpp>

#include <unistd.h>

#include <optional>
#include <set>
#include <thread>

namespace gatehouse::conformance {
namespace {

using std::chrono::milliseconds;
using testkit::PluginRunner;
using testkit::TestListener;

constexpr unsigned kLanes = 2;
constexpr milliseconds kAlive{1000};     // in which a lane raises its heartbeat
constexpr milliseconds kAtOnce{250};     // for a call that returns at once, on a machine with other work
constexpr milliseconds kStopTime{1000};  // abi.h: run_lane() returns within a second
constexpr const char* kToken = "conformance-token";

milliseconds since(SteadyTime begin) { return std::chrono::duration_cast<milliseconds>(steady_now() - begin); }

/// One of each kind that a role takes, and one with an HTTP opening and tokens where it knows them.
std::vector<TestListener> listeners_of(const LoadedPlugin& plugin, bool has_network) {
  std::vector<TestListener> out;
  for (std::size_t i = 0; i < plugin.manifest->role_count; ++i) {
    const gh_listener_role& role = plugin.role(i);
    const auto add = [&](std::uint32_t transport, bool http, std::uint32_t auth) {
      out.push_back({.transport = transport, .role = role.name, .auth = auth, .http_opening = http});
    };
    const bool http = (role.kinds & GH_ROLE_HTTP) != 0;
    if ((role.kinds & GH_ROLE_DATAGRAM) != 0) add(GH_TRANSPORT_UDP, false, GH_AUTH_NONE);
    if ((role.kinds & GH_ROLE_STREAM) == 0) continue;
    add(GH_TRANSPORT_UNIX, http, GH_AUTH_NONE);
    if (has_network) add(GH_TRANSPORT_TCP, http, http ? GH_AUTH_TOKEN : GH_AUTH_NONE);  // as the gateway has it
    if ((role.kinds & GH_ROLE_OPENINGS) != 0) add(GH_TRANSPORT_UNIX, true, GH_AUTH_TOKEN);
  }
  return out;
}

class Life {
 public:
  Life(Rig& rig, const LifePlan& plan) : rig_(rig), plan_(plan) {}

  void run() {
    const std::string no_network = enter_private_network();
    specs_ = listeners_of(rig_.plugin, no_network.empty());
    rig_.host.set_credential(GH_CREDENTIAL_TOKEN, kToken, "token:conformance");
    const ProcessState before = process_state();
    rig_.notes.phase("it starts");
    if (start(no_network)) under_load();
    rig_.notes.phase("it is destroyed");
    runner_.reset();
    rig_.host.close_kept_fds();
    look_at_rest(before);
  }

 private:
  void found(std::string_view id, std::string_view seen) { rig_.notes.found(id, seen); }

  /// create(), configure() and start(). What they throw is their sentence.
  bool start(const std::string& no_network) {
    try {
      runner_.emplace(rig_.manifest(), rig_.host, rig_.options.dump(), kLanes, specs_);
      return true;
    } catch (const boost::system::system_error& error) {
      rig_.notes.skip(std::string("the check's own listeners: ") + error.what());
    } catch (const std::runtime_error& refusal) {
      const std::string why = refusal.what();
      if (why.empty()) found("silent_refusal", "create(), configure() or start() failed without a word");
      if (!plan_.in_order) return false;
      const bool is_root = ::geteuid() == 0;
      if (is_root && no_network.empty()) {
        found(plan_.of_refusal, "it does not start: " + why);
      } else {
        found("not_started",
              "it does not start: " + why + "; " + (is_root ? no_network : "the check does not run as root"));
      }
    }
    return false;
  }

  void under_load() {
    if (plan_.in_order) require_heartbeat("while nobody is there");
    RoughClients clients(targets(), rig_.manifest().id, kToken);
    rig_.notes.phase("clients send it nonsense");
    std::this_thread::sleep_for(plan_.load);
    if (plan_.in_order) {
      require_heartbeat("while clients send it nonsense");
      change();
    }
    rig_.notes.phase("it drains, with clients there");
    require_quick("drain()", [this] { runner_->drain(); });
    require_quick("pending()", [this] { static_cast<void>(runner_->pending()); });
    std::this_thread::sleep_for(plan_.load / 4);
    stop();
    if (plan_.in_order) start_again();
  }

  void start_again() {
    rig_.notes.phase("it is started again");
    try {
      runner_->start_again();
    } catch (const std::runtime_error& refusal) {
      return found("not_started_again", std::string("start() fails after a stop(): ") + refusal.what());
    }
    require_heartbeat("after it was stopped and started again");
    stop();
  }

  std::vector<Target> targets() const {
    std::vector<Target> out;
    for (std::size_t i = 0; i < specs_.size(); ++i)
      out.push_back({specs_[i].transport, runner_->address(i), runner_->path(i)});
    return out;
  }

  void require_heartbeat(const std::string& when) {
    rig_.notes.phase("GH_WAKE_ALIVE asks for its heartbeat");
    for (unsigned lane = 0; lane < kLanes; ++lane) {
      const std::uint64_t before = runner_->turns(lane);
      const SteadyTime begin = steady_now();
      require_quick("wake()", [this] { runner_->wake(GH_WAKE_ALIVE); });
      while (runner_->turns(lane) == before && since(begin) < kAlive) std::this_thread::sleep_for(milliseconds(1));
      if (runner_->turns(lane) == before)
        return found("no_heartbeat", "a lane did not raise gh_lane.turns within a second " + when);
    }
  }

  void change() {
    rig_.notes.phase("its options change");
    std::string why;
    const gh_status status = runner_->reconfigure(rig_.options.dump(), why);
    if (status < 0 && why.empty()) found("silent_refusal", "reconfigure() failed without a word");
    if (status < 0 && status != GH_E_UNSUPPORTED)
      found("change_refused", "reconfigure() refuses the options that run: " + why);
    rig_.notes.phase("its listeners change");
    for (const bool all : {false, true}) {
      std::vector<std::size_t> kept;
      for (std::size_t i = 0; all && i < specs_.size(); ++i) kept.push_back(i);
      if (runner_->keep_listeners(kept, why) < 0)
        found(why.empty() ? "silent_refusal" : "change_refused", "listeners_changed() fails: " + why);
      std::this_thread::sleep_for(plan_.load / 8);
    }
    rig_.notes.phase("it is woken for every reason that there is");
    runner_->wake(GH_WAKE_POLICY | GH_WAKE_CERTIFICATES | GH_WAKE_RANGES | GH_WAKE_ALIVE | 0x8000'0000u);
    rig_.host.set_policy({});
    runner_->policy_changed();
  }

  void stop() {
    rig_.notes.phase("it stops, with clients there");
    const SteadyTime begin = steady_now();
    try {
      runner_->stop();
    } catch (const std::runtime_error& failure) {
      const std::string why = failure.what();  // "lane 0: " and the plugin's words
      if (why.ends_with(": ")) found("silent_refusal", why + "run_lane() failed without a word");
      if (plan_.in_order) found("lane_failed", "run_lane() failed, in " + why);
    }
    if (const milliseconds took = since(begin); took > kStopTime)
      found("slow_stop", "its lanes returned " + std::to_string(took.count()) + " ms after stop()");
  }

  template <class Call>
  void require_quick(const std::string& name, Call call) {
    const SteadyTime begin = steady_now();
    call();
    if (const milliseconds took = since(begin); took > kAtOnce && slow_.insert(name).second)
      found("slow_call", name + " took " + std::to_string(took.count()) + " ms");
  }

  void look_at_rest(const ProcessState& before) {
    const ProcessState after = settled_state(before.threads);
    if (const std::string left = new_descriptors(before, after); !left.empty())
      found("leaked_descriptors", "after destroy() there are still open: " + left);
    if (after.threads > before.threads)
      found("leaked_threads",
            "after destroy() " + std::to_string(after.threads - before.threads) + " threads still run");
    if (rig_.host.open_clients() != 0)
      found("leaked_clients", std::to_string(rig_.host.open_clients()) + " policy clients were never closed");
    if (rig_.host.open_flows() != 0)
      found("leaked_clients", std::to_string(rig_.host.open_flows()) + " flows were never closed");
  }

  Rig& rig_;
  const LifePlan& plan_;
  std::vector<TestListener> specs_;
  std::set<std::string> slow_;  // calls that were told of
  std::optional<PluginRunner> runner_;
};

}  // namespace

void live(Rig& rig, const LifePlan& plan) { Life(rig, plan).run(); }

}  // namespace gatehouse::conformance
