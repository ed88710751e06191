#include "gateway/daemon/plugin_set.hpp"

#include "gateway/base/refusal.hpp"
#include "gateway/daemon/option_changes.hpp"

#include <algorithm>
#include <iterator>
#include <tuple>
#include <utility>

namespace gatehouse {
namespace {

constexpr Nanoseconds kLeaveTime = std::chrono::seconds(10);

void append_listeners(std::vector<policy::OwnListener>& out, const PluginSettings& settings) {
  for (const auto& listener : settings.listeners) {
    const ListenAddress::Kind kind = listener->address().kind;
    if (kind == ListenAddress::Kind::unix_stream) continue;
    out.push_back({listener->local(),
                   static_cast<std::uint32_t>(kind == ListenAddress::Kind::udp ? GH_TRANSPORT_UDP : GH_TRANSPORT_TCP)});
  }
}

}  // namespace

/// All that a reload will change, worked out before anything is changed.
struct PluginSet::Changes {
  struct Change {
    ConfiguredPlugin* plugin;
    PluginSettings settings;  // to come; once carried out, those before
  };
  std::vector<Change> changed;
  std::size_t carried_out = 0;  // so many of `changed`, from the front
  std::vector<std::unique_ptr<ConfiguredPlugin>> added;
  std::vector<ConfigProblem> problems;
};

PluginSet::PluginSet(HostServices services, Events events)
    : services_(std::move(services)), events_(std::move(events)) {}

ConfiguredPlugin* PluginSet::find(const std::string& name) const noexcept {
  const auto found =
      std::find_if(plugins_.begin(), plugins_.end(), [&name](const auto& one) { return one->name() == name; });
  return found == plugins_.end() ? nullptr : found->get();
}

std::unique_ptr<ConfiguredPlugin> PluginSet::load_one(const Config& config, const PluginConfig& plugin,
                                                      std::vector<ConfigProblem>& problems) const {
  try {
    LoadedPlugin loaded = load_plugin(find_plugin(config, plugin.name), plugin_copies(config), offered_interfaces());
    AcceptedPlugin accepted = accept_configuration(config, plugin, loaded);
    if (accepted.problems.empty()) {
      auto out = std::make_unique<ConfiguredPlugin>(
          std::move(loaded), PluginSettings{plugin, std::move(accepted.options), {}}, services_, events_.lane_ended);
      out->check(out->settings().options);
      return out;
    }
    std::move(accepted.problems.begin(), accepted.problems.end(), std::back_inserter(problems));
  } catch (const Refusal& why) {
    problems.push_back({plugin.place, why.what()});
  }
  return nullptr;
}

std::vector<ConfigProblem> PluginSet::load(const Config& config) {
  std::vector<ConfigProblem> problems;
  for (const auto& [name, plugin] : config.plugins) {
    if (!plugin.enabled) continue;
    if (auto loaded = load_one(config, plugin, problems)) plugins_.push_back(std::move(loaded));
  }
  return problems;
}

std::vector<ConfigProblem> PluginSet::start() {
  std::vector<ConfigProblem> problems;
  for (const auto& plugin : plugins_) {
    for (std::string& sentence : plugin->bind()) {
      problems.push_back({plugin->settings().config.place, std::move(sentence)});
    }
  }
  if (problems.empty()) announce(nullptr);
  for (const auto& plugin : plugins_) {
    if (!problems.empty()) break;
    try {
      plugin->start();
    } catch (const Refusal& why) {
      problems.push_back({plugin->settings().config.place, why.what()});
    }
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

void PluginSet::plan(const Config& next, const PluginConfig& plugin, Changes& changes) const {
  ConfiguredPlugin* const running = find(plugin.name);
  if (running == nullptr) {
    auto added = load_one(next, plugin, changes.problems);
    if (added == nullptr) return;
    for (std::string& sentence : added->bind()) changes.problems.push_back({plugin.place, std::move(sentence)});
    changes.added.push_back(std::move(added));
    return;
  }
  AcceptedPlugin accepted = accept_configuration(next, plugin, running->loaded());
  if (!accepted.problems.empty()) {
    std::move(accepted.problems.begin(), accepted.problems.end(), std::back_inserter(changes.problems));
    return;
  }
  std::vector<std::string> fixed = running->needs_restart(plugin);
  for (const std::string& option : options_needing_restart(running->loaded().manifest->options_schema,
                                                           running->settings().options, accepted.options)) {
    fixed.push_back("plugin." + plugin.name + ".options." + option);
  }
  for (const std::string& key : fixed) {
    changes.problems.push_back({plugin.place, "`" + key + "` cannot change while the gateway runs: restart it"});
  }
  if (!fixed.empty()) return;
  try {
    changes.changed.push_back({running, running->prepare(plugin, std::move(accepted.options))});
  } catch (const Refusal& why) {
    changes.problems.push_back({plugin.place, why.what()});
  }
}

/// Starts what comes and changes what stays. With a problem, all that was done is undone.
void PluginSet::carry_out(Changes& changes) {
  const ConfigPlace* place = nullptr;
  try {
    for (const auto& plugin : changes.added) {
      place = &plugin->settings().config.place;
      plugin->start();
    }
    for (auto& [plugin, settings] : changes.changed) {
      place = &settings.config.place;
      settings = plugin->apply(settings);
      ++changes.carried_out;
    }
  } catch (const Refusal& why) {
    changes.problems.push_back({*place, why.what()});
    while (changes.carried_out > 0) {
      auto& [plugin, settings] = changes.changed[--changes.carried_out];
      try {
        settings = plugin->apply(std::move(settings));
        plugin->retire_unused(std::move(settings));
      } catch (const Refusal& again) {
        changes.problems.push_back({*place, std::string(again.what()) + " (while going back; restart the gateway)"});
      }
    }
  }
}

void PluginSet::commit(Changes& changes, const Config& next) {
  for (auto& [plugin, settings] : changes.changed) {
    plugin->retire_unused(std::move(settings));
    plugin->restart_if_quarantined();
  }
  const SteadyTime leave_at = steady_now() + kLeaveTime;
  for (auto plugin = plugins_.begin(); plugin != plugins_.end();) {
    const auto configured = next.plugins.find((*plugin)->name());
    const bool stays = configured != next.plugins.end() && configured->second.enabled;
    if (!stays) {
      (*plugin)->drain(leave_at);
      leaving_.push_back(std::move(*plugin));
    }
    plugin = stays ? std::next(plugin) : plugins_.erase(plugin);
  }
  std::move(changes.added.begin(), changes.added.end(), std::back_inserter(plugins_));
  std::sort(plugins_.begin(), plugins_.end(), [](const auto& a, const auto& b) { return a->name() < b->name(); });
}

std::vector<ConfigProblem> PluginSet::reload(const Config& next) {
  Changes changes;
  for (const auto& [name, plugin] : next.plugins) {
    if (plugin.enabled) plan(next, plugin, changes);
  }
  if (changes.problems.empty()) {
    announce(&changes);
    carry_out(changes);
    if (changes.problems.empty()) commit(changes, next);
    changes.added.clear();
    announce(nullptr);
  }
  return std::move(changes.problems);
}

SteadyTime PluginSet::tick(SteadyTime now) {
  SteadyTime next = SteadyTime::max();
  for (const auto& plugin : plugins_) next = std::min(next, plugin->tick(now));
  for (const auto& plugin : leaving_) next = std::min(next, plugin->tick(now));
  for (const auto& plugin : leaving_) abandoned_ += plugin->stopped() ? plugin->abandoned_lanes() : 0;
  if (std::erase_if(leaving_, [](const auto& plugin) { return plugin->stopped(); }) > 0) announce(nullptr);
  return next;
}

void PluginSet::wake(std::uint32_t reasons) {
  for (const auto& plugin : plugins_) plugin->wake(reasons);
  for (const auto& plugin : leaving_) plugin->wake(reasons);
}

void PluginSet::publish_certificate(std::uint32_t listener, ListenerPem pem) {
  if (services_.certificates->publish(listener, std::move(pem))) wake(GH_WAKE_CERTIFICATES);
}

void PluginSet::remove_certificate(std::uint32_t listener) {
  if (services_.certificates->remove(listener)) wake(GH_WAKE_CERTIFICATES);
}

void PluginSet::drain(SteadyTime deadline) {
  for (const auto& plugin : plugins_) plugin->drain(deadline);
  for (const auto& plugin : leaving_) plugin->drain(deadline);
}

void PluginSet::stop(SteadyTime now) {
  for (const auto& plugin : plugins_) plugin->stop(now);
  for (const auto& plugin : leaving_) plugin->stop(now);
}

bool PluginSet::stopped() const {
  return leaving_.empty() &&
         std::all_of(plugins_.begin(), plugins_.end(), [](const auto& plugin) { return plugin->stopped(); });
}

unsigned PluginSet::abandoned_lanes() const {
  unsigned count = abandoned_;
  for (const auto& plugin : plugins_) count += plugin->abandoned_lanes();
  for (const auto& plugin : leaving_) count += plugin->abandoned_lanes();
  return count;
}

}  // namespace gatehouse
