#include "gateway/cli/plugin/switch_verbs.hpp"

#include "gateway/base/refusal.hpp"
#include "gateway/cli/plugin/plugin_shelf.hpp"
#include "gateway/cli/render.hpp"
#include "gateway/cli/running_gateway.hpp"
#include "gateway/config/plugin_switch.hpp"

#include <nlohmann/json.hpp>

#include <chrono>
#include <exception>
#include <optional>
#include <thread>

namespace gatehouse {
namespace {

using Json = nlohmann::ordered_json;

constexpr unsigned kConflict = 409;  // it is starting, draining, or in another reload
constexpr std::chrono::seconds kPatience{10};
constexpr std::chrono::milliseconds kPause{100};

/// One plugin's line in the file of switches, which is as before unless it is kept.
class Switch {
 public:
  Switch(const Invocation& invocation, const std::string& plugin, bool enabled)
      : config_(invocation.config),
        plugin_(plugin),
        before_(plugin_switch(config_, plugin)),
        file_(switch_plugin(config_, plugin, enabled)) {}
  ~Switch() {
    if (kept_) return;
    try {
      static_cast<void>(switch_plugin(config_, plugin_, before_));
    } catch (const std::exception&) {
      // it could be written a moment ago; the operator is told of what came first
    }
  }
  Switch(const Switch&) = delete;
  Switch& operator=(const Switch&) = delete;

  void keep() noexcept { kept_ = true; }
  [[nodiscard]] const std::filesystem::path& file() const noexcept { return file_; }

 private:
  const std::filesystem::path config_;
  const std::string plugin_;
  const std::optional<bool> before_;
  const std::filesystem::path file_;
  bool kept_ = false;
};

/// Fails where a later file of the folder has the last word.
void require_in_force(const Invocation& invocation, const std::string& plugin, bool enabled, const Switch& line) {
  const Config after = load_config(invocation);
  const auto configured = after.plugins.find(plugin);
  if (configured != after.plugins.end() && configured->second.enabled == enabled) return;
  throw Refusal("nothing was changed: a later file than " + line.file().string() + " overrides plugin." + plugin +
                ".enabled; change it there");
}

/// Nothing when no gateway runs. @throws NoGateway when this user may not ask it
std::optional<ControlReply> reload_gateway(const Invocation& invocation) {
  if (!gateway_listens(invocation)) return {};
  const auto until = std::chrono::steady_clock::now() + kPatience;
  for (;;) {
    ControlReply reply = ask_gateway(invocation, "reload", Access::write);
    if (reply.status != kConflict || std::chrono::steady_clock::now() > until) return reply;
    std::this_thread::sleep_for(kPause);
  }
}

int set_enabled(const Invocation& invocation, const std::string& plugin, bool enabled) {
  require_known_plugin(load_config(invocation), plugin);
  Switch line(invocation, plugin, enabled);
  require_in_force(invocation, plugin, enabled, line);
  const std::optional<ControlReply> reply = reload_gateway(invocation);
  if (reply && reply->status >= 300) return print_reply(invocation, *reply);
  line.keep();
  const Json body = {{"name", plugin},
                     {"enabled", enabled},
                     {"file", line.file().string()},
                     {"in_force", reply.has_value()},
                     {"next", reply ? "" : "no gateway runs: it is in force from its next start"}};
  if (invocation.json) {
    print_json(invocation.out, body);
  } else {
    print_body(invocation, one_line(body));
  }
  return kExitYes;
}

}  // namespace

int plugin_enable_verb(const Invocation& invocation, const PluginArguments& arguments) {
  return set_enabled(invocation, arguments.name, true);
}

int plugin_disable_verb(const Invocation& invocation, const PluginArguments& arguments) {
  return set_enabled(invocation, arguments.name, false);
}

}  // namespace gatehouse
