// The only file that includes CLI11: the grammar of the command line, verb by verb.
#include "gateway/cli/cli.hpp"

#include "gateway/cli/verbs.hpp"
#include "gateway/control/control_client.hpp"

#include <CLI/CLI.hpp>

#include <functional>

namespace gatehouse {
namespace {

/// The arguments of one call, and what is to be done with them.
struct CommandLine {
  CLI::App app{"Gatehouse: a gateway whose frontends are plugins, with one policy over all of them", "gatehouse"};
  Invocation invocation;
  std::string plugin;
  std::filesystem::path attach_socket;
  std::vector<std::string> arguments;
  std::function<int()> verb;

  CommandLine();
  CLI::App* add(CLI::App& parent, const char* name, const char* summary, std::function<int()> what);
  void take_config(CLI::App* verb);
  void take_socket(CLI::App* verb);
  void take_plugin(CLI::App* verb);
  void add_control_verbs();
  void add_plugin_verbs();
  void add_client_verbs();
};

CLI::App* CommandLine::add(CLI::App& parent, const char* name, const char* summary, std::function<int()> what) {
  CLI::App* out = parent.add_subcommand(name, summary);
  out->add_flag("--json", invocation.json, "Print the JSON body as it is");
  out->callback([this, what = std::move(what)] { verb = what; });
  return out;
}

void CommandLine::take_config(CLI::App* command) {
  command->add_option("--config", invocation.config, "Configuration file")->capture_default_str()->type_name("FILE");
  command->add_option("--set", invocation.overrides, "Over the files, such as log.level=debug; repeatable")
      ->allow_extra_args(false)
      ->type_name("KEY=VALUE");
}

void CommandLine::take_socket(CLI::App* command) {
  take_config(command);
  command->add_option("--socket", invocation.socket, "Control socket, in place of the one that the configuration has");
}

void CommandLine::take_plugin(CLI::App* command) {
  take_config(command);
  command->add_option("NAME", plugin, "Plugin")->required();
}

void CommandLine::add_control_verbs() {
  take_config(add(app, "run", "Run the gateway in the foreground", [this] { return run_verb(invocation); }));
  take_config(add(app, "check", "Would `run` start? Checks the configuration and every enabled plugin",
                  [this] { return check_verb(invocation); }));
  take_socket(add(app, "status", "State of the running gateway", [this] { return status_verb(invocation); }));
  take_socket(add(app, "sessions", "Sessions of the running gateway", [this] { return sessions_verb(invocation); }));
  take_socket(add(app, "reload", "Put the changed configuration in force, all of it or nothing",
                  [this] { return reload_verb(invocation); }));
  take_socket(add(app, "drain", "Take no new clients and stop when the last is gone",
                  [this] { return drain_verb(invocation); }));
}

void CommandLine::add_plugin_verbs() {
  CLI::App* group = app.add_subcommand("plugin", "Look at plugins and switch them");
  group->require_subcommand(1);
  take_config(add(*group, "list", "Every plugin that can be found", [this] { return plugin_list_verb(invocation); }));
  take_plugin(add(*group, "describe", "A plugin's listeners, options and probe",
                  [this] { return plugin_describe_verb(invocation, plugin); }));
  take_plugin(add(*group, "enable", "Switch a plugin on, in gatehouse.d/90-plugins.toml",
                  [this] { return plugin_switch_verb(invocation, plugin, true); }));
  take_plugin(add(*group, "disable", "Switch a plugin off, in gatehouse.d/90-plugins.toml",
                  [this] { return plugin_switch_verb(invocation, plugin, false); }));
}

void CommandLine::add_client_verbs() {
  CLI::App* attach = add(app, "attach", "Join standard input and output with a plugin's Unix listener",
                         [this] { return attach_verb(invocation, plugin, attach_socket); });
  take_plugin(attach);
  attach->add_option("--socket", attach_socket, "The listener's path, in place of the one that the configuration has");

  CLI::App* probe = add(app, "probe", "Does a frontend work? gatehouse probe [OPTIONS] NAME ARGUMENTS...", nullptr);
  take_config(probe);
  probe->prefix_command();  // from NAME on, everything is the probe's
  probe->callback([this, probe] {
    arguments = probe->remaining();
    if (arguments.empty()) throw CLI::RequiredError("NAME");
    plugin = arguments.front();
    arguments.erase(arguments.begin());
    verb = [this] { return probe_verb(invocation, plugin, arguments); };
  });
}

CommandLine::CommandLine() {
  app.require_subcommand(1);
  app.failure_message(CLI::FailureMessage::simple);
  add_control_verbs();
  add_client_verbs();
  add_plugin_verbs();
}

}  // namespace

int run_cli(int argc, char** argv) {
  CommandLine line;
  try {
    line.app.parse(argc, argv);
    return line.verb();
  } catch (const CLI::ParseError& error) {
    return line.app.exit(error) == 0 ? kExitYes : kExitWrong;
  } catch (const BrokenConfig& broken) {
    complain(line.invocation, broken.problems);
    return kExitWrong;
  } catch (const NoGateway& nobody) {
    complain(nobody.what());
    return kExitNo;
  } catch (const std::exception& error) {
    complain(error.what());
    return kExitWrong;
  }
}

}  // namespace gatehouse
