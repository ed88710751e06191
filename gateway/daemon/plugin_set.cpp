#include "gateway/daemon/plugin_set.hpp"

#include "gateway/base/refusal.hpp"
#include "gateway/base/utc_time.hpp"
#include "gateway/config/duplicate_listeners.hpp"
#include "gateway/daemon/descriptors.hpp"
#include "gateway/daemon/option_changes.hpp"
#include "gateway/plugin/default_listeners.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <exception>
#include <iterator>
#include <tuple>
#include <utility>

namespace gatehouse {
namespace {

namespace asio = boost::asio;

constexpr Nanoseconds kLeaveTime = std::chrono::seconds(10);
constexpr const char* kEnding = "the gateway is to end and takes no new configuration";
constexpr std::chrono::milliseconds kLookPause{2};      // while calls of plugins are on their way
constexpr std::chrono::milliseconds kAddressPause{10};  // while lanes let go of sockets

void append_listeners(std::vector<policy::OwnListener>& out, const PluginSettings& settings) {
  for (const auto& listener : settings.listeners) {
    const ListenAddress::Kind kind = listener->address().kind;
    if (kind == ListenAddress::Kind::unix_stream) continue;
    out.push_back({listener->local(),
                   static_cast<std::uint32_t>(kind == ListenAddress::Kind::udp ? GH_TRANSPORT_UDP : GH_TRANSPORT_TCP)});
  }
}

ConfiguredPlugin* find_in(const std::vector<std::unique_ptr<ConfiguredPlugin>>& plugins, const std::string& name) {
  const auto found =
      std::find_if(plugins.begin(), plugins.end(), [&name](const auto& one) { return one->name() == name; });
  return found == plugins.end() ? nullptr : found->get();
}

/// Addresses of `config` that `plugin` has not bound.
void append_unbound(std::vector<ListenAddress>& out, const ConfiguredPlugin& plugin, const PluginConfig& config) {
  for (ListenAddress& address : plugin.unbound(config)) out.push_back(std::move(address));
}

/// What it has bound already stays.
void bind(ConfiguredPlugin& plugin, std::vector<ConfigProblem>& problems) {
  for (std::string& sentence : plugin.bind()) problems.push_back({plugin.settings().config.place, std::move(sentence)});
}

}  // namespace

/// All that a reload will change, worked out before anything is changed.
struct PluginSet::Changes {
  struct Change {
    ConfiguredPlugin* plugin;
    PluginSettings settings;  // to come; once carried out, those before
    ConfiguredPlugin::Call call = nullptr;
    bool carried_out = false;
  };
  std::vector<Change> changed;
  std::vector<std::unique_ptr<ConfiguredPlugin>> added;
  std::vector<Asked> checks;
  ListenerCertificates::Readings certificates;
  std::vector<ConfigProblem> problems;
};

PluginSet::PluginSet(HostServices services, Events events, asio::io_context* io)
    : services_(std::move(services)),
      events_(std::move(events)),
      certificates_(services_.certificates, services_.journal),
      io_(io) {}
PluginSet::~PluginSet() = default;

/// Returns when that has come to its end.
void PluginSet::run_now(asio::awaitable<void> work) {
  asio::io_context alone(1);
  asio::io_context& io = io_ != nullptr ? *io_ : alone;
  bool done = false;
  std::exception_ptr failure;
  asio::co_spawn(io, std::move(work), [&](std::exception_ptr thrown) {
    failure = thrown;
    done = true;
  });
  while (!done) io.run_one();
  if (failure) std::rethrow_exception(failure);
}

ConfiguredPlugin* PluginSet::find(const std::string& name) const noexcept { return find_in(plugins_, name); }
ConfiguredPlugin* PluginSet::find_leaving(const std::string& name) const noexcept { return find_in(leaving_, name); }

/// Loads it and asks it about its options.
std::unique_ptr<ConfiguredPlugin> PluginSet::load_one(const Config& config, const PluginConfig& plugin,
                                                      std::vector<Asked>& checks, Problems& problems) const {
  try {
    LoadedPlugin loaded = load_plugin(find_plugin(config, plugin.name), plugin_copies(config), offered_interfaces());
    AcceptedPlugin accepted = accept_configuration(config, plugin, loaded);
    if (accepted.problems.empty()) {
      auto out = std::make_unique<ConfiguredPlugin>(
          std::move(loaded), PluginSettings{std::move(accepted.config), std::move(accepted.options), {}}, services_,
          events_.plugin_moved);
      checks.push_back({out.get(), plugin.place, out->check(out->settings().options)});
      return out;
    }
    std::move(accepted.problems.begin(), accepted.problems.end(), std::back_inserter(problems));
  } catch (const Refusal& why) {
    problems.push_back({plugin.place, why.what()});
  }
  return nullptr;
}

/// Returns when every call is over, or when the gateway is to end; with the refusals.
asio::awaitable<void> PluginSet::wait_for(const std::vector<Asked>& asked, Problems& problems) const {
  asio::steady_timer pause(co_await asio::this_coro::executor);
  const auto is_over = [](const Asked& one) { return one.call == nullptr || one.call->is_over(); };
  while (!std::all_of(asked.begin(), asked.end(), is_over)) {
    if (ending_) {
      problems.push_back({{}, kEnding});
      co_return;
    }
    for (const Asked& one : asked) one.plugin->watch(steady_now());
    pause.expires_after(kLookPause);
    co_await pause.async_wait(asio::use_awaitable);
  }
  for (const Asked& one : asked) {
    if (one.call != nullptr && one.call->refusal()) problems.push_back({one.place, *one.call->refusal()});
  }
}

std::vector<ConfigProblem> PluginSet::load(const Config& config) {
  services_.plugin_timeout->store(config.lane_timeout, std::memory_order_relaxed);
  Problems problems;
  std::vector<Asked> checks;
  for (const auto& [name, plugin] : config.plugins) {
    if (!plugin.enabled) continue;
    certificates_.read(plugin, unix_now(), readings_, problems);
    if (auto loaded = load_one(config, plugin, checks, problems)) plugins_.push_back(std::move(loaded));
  }
  run_now(wait_for(checks, problems));
  return problems;
}

std::vector<ConfigProblem> PluginSet::add_defaults(Config& config) const {
  Problems problems;
  for (const auto& plugin : plugins_) {
    Problems more = add_default_listeners(config.plugins.at(plugin->name()), plugin->loaded(), config.runtime_dir);
    std::move(more.begin(), more.end(), std::back_inserter(problems));
  }
  Problems more = duplicate_listeners(config);
  std::move(more.begin(), more.end(), std::back_inserter(problems));
  return problems;
}

std::vector<ConfigProblem> PluginSet::remarks() const { return ListenerCertificates::remarks(readings_, unix_now()); }

std::vector<ConfigProblem> PluginSet::start() {
  Problems problems;
  for (const auto& plugin : plugins_) bind(*plugin, problems);
  if (problems.empty()) {
    announce(nullptr);
    share_descriptors(nullptr);
    serve_certificates(std::exchange(readings_, {}));
    std::vector<Asked> starts;
    for (const auto& plugin : plugins_) {
      const ConfigPlace& place = plugin->settings().config.place;
      try {
        starts.push_back({plugin.get(), place, plugin->start()});
      } catch (const Refusal& why) {
        problems.push_back({place, why.what()});
      }
    }
    run_now(wait_for(starts, problems));
  }
  for (const auto& plugin : plugins_) {
    if (!problems.empty()) break;
    plugin->finish_start(steady_now());
    if (!plugin->failure().empty()) problems.push_back({plugin->settings().config.place, plugin->failure()});
  }
  if (!problems.empty()) plugins_.clear();
  return problems;
}

/// Calls events_.listeners with all listeners, also those that `coming` adds, unless they are the same as at the last
/// call.
void PluginSet::announce(const Changes* coming) {
  std::vector<policy::OwnListener> all;
  for (const auto& plugin : plugins_) append_listeners(all, plugin->settings());
  for (const auto& plugin : leaving_) append_listeners(all, plugin->settings());
  if (coming != nullptr) {
    for (const auto& change : coming->changed) append_listeners(all, change.settings);
    for (const auto& plugin : coming->added) append_listeners(all, plugin->settings());
  }
  std::sort(all.begin(), all.end(), [](const policy::OwnListener& a, const policy::OwnListener& b) {
    return std::tie(a.endpoint, a.transport) < std::tie(b.endpoint, b.transport);
  });
  all.erase(std::unique(all.begin(), all.end()), all.end());
  if (all == announced_) return;
  announced_ = all;
  events_.listeners(all);
}

/// Among all plugins that have clients now, or are about to.
void PluginSet::share_descriptors(const Changes* coming) {
  std::vector<PluginShape> shapes;
  std::vector<ConfiguredPlugin*> plugins;
  const auto add = [&](const std::vector<std::unique_ptr<ConfiguredPlugin>>& those) {
    for (const auto& plugin : those) {
      const PluginSettings& settings = plugin->settings();
      shapes.push_back({lane_count(settings.config), settings.listeners.size()});
      plugins.push_back(plugin.get());
    }
  };
  add(plugins_);
  add(leaving_);
  if (coming != nullptr) add(coming->added);
  const std::uint64_t share = client_descriptors(descriptor_limit(), shapes);
  for (ConfiguredPlugin* const plugin : plugins) plugin->budget().set_descriptors(share);
}

void PluginSet::serve_certificates(const ListenerCertificates::Readings& readings) {
  bool is_new = false;
  for (const auto& plugin : plugins_)
    is_new = certificates_.serve(plugin->settings(), readings, steady_now()) || is_new;
  if (is_new) wake(GH_WAKE_CERTIFICATES);
}

/// Those of listeners that are about to reach lanes.
void PluginSet::serve_new_certificates(const Changes& coming) {
  bool is_new = false;
  const auto serve = [&](const PluginSettings& settings) {
    is_new = certificates_.serve(settings, coming.certificates, steady_now(), true) || is_new;
  };
  for (const auto& plugin : coming.added) serve(plugin->settings());
  for (const auto& change : coming.changed) serve(change.settings);
  if (is_new) wake(GH_WAKE_CERTIFICATES);
}

/// Of listeners that no plugin has any more.
void PluginSet::forget_certificates() {
  std::set<std::uint32_t> all;
  for (const auto* const plugins : {&plugins_, &leaving_})
    for (const auto& plugin : *plugins)
      for (const auto& listener : plugin->settings().listeners) all.insert(listener->id());
  if (certificates_.keep_only(all)) wake(GH_WAKE_CERTIFICATES);
}

void PluginSet::watch_certificates(SteadyTime now) {
  if (certificates_.watch(now, unix_now())) wake(GH_WAKE_CERTIFICATES);
}

void PluginSet::plan(const Config& next, const PluginConfig& plugin, Changes& changes) const {
  certificates_.read(plugin, unix_now(), changes.certificates, changes.problems);
  ConfiguredPlugin* const running = find(plugin.name);
  if (running == nullptr) {
    auto added = load_one(next, plugin, changes.checks, changes.problems);
    if (added != nullptr) changes.added.push_back(std::move(added));
    return;
  }
  AcceptedPlugin accepted = accept_configuration(next, plugin, running->loaded());
  if (!accepted.problems.empty()) {
    std::move(accepted.problems.begin(), accepted.problems.end(), std::back_inserter(changes.problems));
    return;
  }
  std::vector<std::string> fixed = running->needs_restart(accepted.config);
  for (const std::string& option : options_needing_restart(running->loaded().manifest->options_schema,
                                                           running->settings().options, accepted.options)) {
    fixed.push_back("plugin." + plugin.name + ".options." + option);
  }
  for (const std::string& key : fixed) {
    changes.problems.push_back({plugin.place, "`" + key + "` cannot change while the gateway runs: restart it"});
  }
  if (!fixed.empty()) return;
  changes.changed.push_back({running, PluginSettings{std::move(accepted.config), std::move(accepted.options), {}}});
  try {
    changes.checks.push_back({running, plugin.place, running->check(changes.changed.back().settings.options)});
  } catch (const Refusal& why) {
    changes.problems.push_back({plugin.place, why.what()});
  }
}

/// What bind_coming() is to bind.
PluginSet::Addresses PluginSet::unbound(const Changes& changes) const {
  Addresses out;
  for (const auto& change : changes.changed) append_unbound(out, *change.plugin, change.settings.config);
  for (const auto& plugin : changes.added) {
    if (find_leaving(plugin->name()) == nullptr) append_unbound(out, *plugin, plugin->settings().config);
  }
  return out;
}

/// Returns once nothing that an earlier reload took away is in the way of them. What somebody else has is not waited
/// for.
asio::awaitable<void> PluginSet::wait_for_addresses(Addresses addresses) {
  const auto is_awaited = [this](const ListenAddress& address) {
    return given_up_.are_in_the_way_of(address, steady_now());
  };
  asio::steady_timer pause(co_await asio::this_coro::executor);
  while (!ending_ && std::any_of(addresses.begin(), addresses.end(), is_awaited)) {
    static_cast<void>(tick(steady_now()));
    pause.expires_after(kAddressPause);
    co_await pause.async_wait(asio::use_awaitable);
  }
}

/// What is in the way of nobody who is still leaving; the others are end_former()'s.
void PluginSet::bind_coming(Changes& changes) const {
  for (const auto& plugin : changes.added)
    if (find_leaving(plugin->name()) == nullptr) bind(*plugin, changes.problems);
  for (Changes::Change& change : changes.changed) {
    try {
      change.settings = change.plugin->prepare(change.settings.config, change.settings.options);
    } catch (const Refusal& why) {
      changes.problems.push_back({change.settings.config.place, why.what()});
    }
  }
}

/// Of the plugins that are configured, and of those that are about to be.
GivenUpListeners::Listeners PluginSet::listeners(const Changes* coming) const {
  GivenUpListeners::Listeners out;
  const auto add = [&out](const PluginSettings& settings) {
    out.insert(settings.listeners.begin(), settings.listeners.end());
  };
  for (const auto& plugin : plugins_) add(plugin->settings());
  if (coming == nullptr) return out;
  for (const auto& change : coming->changed) add(change.settings);
  for (const auto& plugin : coming->added) add(plugin->settings());
  return out;
}

/// Of what comes, those that are leaving at present: they make way, whoever they still serve, for addresses, devices
/// and sessions are one plugin's. Then what comes binds the addresses that were theirs.
asio::awaitable<void> PluginSet::end_former(Changes& changes) {
  asio::steady_timer pause(co_await asio::this_coro::executor);
  const auto former_of = [this](const auto& plugin) { return find_leaving(plugin->name()) != nullptr; };
  for (const auto& plugin : changes.added) {
    for (const auto& former : leaving_)
      if (former->name() == plugin->name()) former->stop(steady_now());
  }
  while (std::any_of(changes.added.begin(), changes.added.end(), former_of)) {
    if (ending_) {
      changes.problems.push_back({{}, kEnding});
      co_return;
    }
    static_cast<void>(tick(steady_now()));
    pause.expires_after(kLookPause);
    co_await pause.async_wait(asio::use_awaitable);
  }
  Addresses left;  // what was not free before
  for (const auto& plugin : changes.added) append_unbound(left, *plugin, plugin->settings().config);
  co_await wait_for_addresses(std::move(left));
  for (const auto& plugin : changes.added) bind(*plugin, changes.problems);
}

/// Starts what comes, with its lanes held back, and changes what stays. With a problem, all that was done is undone.
asio::awaitable<void> PluginSet::carry_out(Changes& changes) {
  std::vector<Asked> asked;
  const ConfigPlace* place = nullptr;
  try {
    for (const auto& plugin : changes.added) {
      place = &plugin->settings().config.place;
      asked.push_back({plugin.get(), *place, plugin->start()});
    }
    for (Changes::Change& change : changes.changed) {
      place = &change.settings.config.place;
      change.call = change.plugin->apply(change.settings);
      asked.push_back({change.plugin, *place, change.call});
    }
  } catch (const Refusal& why) {
    changes.problems.push_back({*place, why.what()});
  }
  co_await wait_for(asked, changes.problems);
  for (Changes::Change& change : changes.changed) {
    const bool well = change.call == nullptr || (change.call->is_over() && !change.call->refusal());
    if (!well || (!changes.problems.empty() && change.call == nullptr)) continue;
    change.settings = change.plugin->take_over(std::move(change.settings));
    change.carried_out = true;
  }
  if (!changes.problems.empty() && !ending_) co_await go_back(changes);
}

/// All that were changed are as before, unless one of them refuses that.
asio::awaitable<void> PluginSet::go_back(Changes& changes) {
  std::vector<Asked> asked;
  Problems problems;
  for (Changes::Change& change : changes.changed) {
    if (!change.carried_out) continue;
    try {
      change.call = change.plugin->apply(change.settings);
      asked.push_back({change.plugin, change.settings.config.place, change.call});
    } catch (const Refusal& why) {
      problems.push_back({change.settings.config.place, why.what()});
    }
  }
  co_await wait_for(asked, problems);
  for (ConfigProblem& problem : problems) {
    problem.sentence += " (while going back; restart the gateway)";
    changes.problems.push_back(std::move(problem));
  }
  for (Changes::Change& change : changes.changed) {
    if (!change.carried_out) continue;
    if (change.call != nullptr && (!change.call->is_over() || change.call->refusal())) continue;
    change.settings = change.plugin->take_over(std::move(change.settings));
    change.plugin->retire_unused(std::move(change.settings));
  }
}

void PluginSet::commit(Changes& changes, const Config& next) {
  services_.plugin_timeout->store(next.lane_timeout, std::memory_order_relaxed);
  for (Changes::Change& change : changes.changed) {
    change.plugin->retire_unused(std::move(change.settings));
    change.plugin->restart_if_quarantined();
  }
  const SteadyTime now = steady_now();
  for (auto plugin = plugins_.begin(); plugin != plugins_.end();) {
    const auto configured = next.plugins.find((*plugin)->name());
    const bool stays = configured != next.plugins.end() && configured->second.enabled;
    if (!stays) {
      (*plugin)->drain(now + kLeaveTime);
      leaving_.push_back(std::move(*plugin));
    }
    plugin = stays ? std::next(plugin) : plugins_.erase(plugin);
  }
  for (const auto& plugin : changes.added) plugin->finish_start(now);
  std::move(changes.added.begin(), changes.added.end(), std::back_inserter(plugins_));
  changes.added.clear();
  std::sort(plugins_.begin(), plugins_.end(), [](const auto& a, const auto& b) { return a->name() < b->name(); });
  serve_certificates(changes.certificates);
}

/// Those that were to come go again, in their own time.
void PluginSet::let_go(Changes& changes) {
  for (auto& plugin : changes.added) {
    plugin->unbind();
    plugin->stop(steady_now());
    leaving_.push_back(std::move(plugin));
  }
  changes.added.clear();
}

asio::awaitable<std::vector<ConfigProblem>> PluginSet::reload(const Config& next) {
  Changes changes;
  const struct Mark {
    explicit Mark(bool& of) : is_on(of) { is_on = true; }
    ~Mark() { is_on = false; }
    bool& is_on;
  } mark(reloading_);
  for (const auto& [name, plugin] : next.plugins) {
    if (plugin.enabled) plan(next, plugin, changes);
  }
  Config complete = next;  // with the listeners that roles have by themselves
  for (const auto& change : changes.changed) complete.plugins[change.plugin->name()] = change.settings.config;
  for (const auto& plugin : changes.added) complete.plugins[plugin->name()] = plugin->settings().config;
  for (ConfigProblem& problem : duplicate_listeners(complete)) changes.problems.push_back(std::move(problem));
  if (changes.problems.empty()) {  // else "another program has it" might be said of what is about to be free
    co_await wait_for_addresses(unbound(changes));
    bind_coming(changes);
  }
  const auto before = listeners(&changes);
  co_await wait_for(changes.checks, changes.problems);
  if (changes.problems.empty()) co_await end_former(changes);
  if (changes.problems.empty()) {
    announce(&changes);
    share_descriptors(&changes);
    serve_new_certificates(changes);
    co_await carry_out(changes);
    if (changes.problems.empty()) commit(changes, next);
  }
  let_go(changes);
  given_up_.add(before, listeners(nullptr), steady_now());
  forget_certificates();
  announce(nullptr);
  share_descriptors(nullptr);
  co_return std::move(changes.problems);
}

SteadyTime PluginSet::tick(SteadyTime now) {
  SteadyTime next = SteadyTime::max();
  for (const auto& plugin : plugins_) next = std::min(next, plugin->tick(now));
  for (const auto& plugin : leaving_) next = std::min(next, plugin->tick(now));
  for (const auto& plugin : leaving_) {
    if (!plugin->stopped()) continue;
    abandoned_lanes_ += plugin->abandoned_lanes();
    abandoned_calls_ += plugin->abandoned_calls();
    gone_.insert(plugin->name());
  }
  if (std::erase_if(leaving_, [](const auto& plugin) { return plugin->stopped(); }) > 0) {
    announce(nullptr);
    share_descriptors(nullptr);
    if (!reloading_) forget_certificates();
  }
  forget_gone();
  return next;
}

/// What plugins that have left kept with the host, unless another of the same name has come or is about to.
void PluginSet::forget_gone() {
  if (reloading_) return;
  for (const std::string& name : gone_) {
    const auto has_name = [&name](const auto& plugin) { return plugin->name() == name; };
    if (find(name) != nullptr || std::any_of(leaving_.begin(), leaving_.end(), has_name)) continue;
    services_.fds->drop(name);
    services_.place_claims->forget(name);
  }
  gone_.clear();
}

void PluginSet::wake(std::uint32_t reasons) {
  for (const auto& plugin : plugins_) plugin->wake(reasons);
  for (const auto& plugin : leaving_) plugin->wake(reasons);
}

void PluginSet::drain(SteadyTime deadline) {
  ending_ = true;
  for (const auto& plugin : plugins_) plugin->drain(deadline);
  for (const auto& plugin : leaving_) plugin->drain(deadline);
}

void PluginSet::stop(SteadyTime now) {
  ending_ = true;
  for (const auto& plugin : plugins_) plugin->stop(now);
  for (const auto& plugin : leaving_) plugin->stop(now);
}

bool PluginSet::stopped() const {
  return leaving_.empty() &&
         std::all_of(plugins_.begin(), plugins_.end(), [](const auto& plugin) { return plugin->stopped(); });
}

unsigned PluginSet::abandoned_lanes() const {
  unsigned count = abandoned_lanes_;
  for (const auto& plugin : plugins_) count += plugin->abandoned_lanes();
  for (const auto& plugin : leaving_) count += plugin->abandoned_lanes();
  return count;
}

unsigned PluginSet::abandoned_calls() const {
  unsigned count = abandoned_calls_ + abandoned_offers();
  for (const auto& plugin : plugins_) count += plugin->abandoned_calls();
  for (const auto& plugin : leaving_) count += plugin->abandoned_calls();
  return count;
}

}  // namespace gatehouse
