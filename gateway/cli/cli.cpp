// The only file that includes CLI11: the grammar of the command line, verb by verb.
#include "gateway/cli/cli.hpp"

#include "gateway/base/printable.hpp"
#include "gateway/base/version.hpp"
#include "gateway/cli/gateway_verbs.hpp"
#include "gateway/cli/plugin/attach_verb.hpp"
#include "gateway/cli/plugin/check_verb.hpp"
#include "gateway/cli/plugin/new_verb.hpp"
#include "gateway/cli/plugin/plugin_verbs.hpp"
#include "gateway/cli/plugin/probe_verb.hpp"
#include "gateway/cli/plugin/switch_verbs.hpp"
#include "gateway/cli/policy/edit/name_verbs.hpp"
#include "gateway/cli/policy/edit/permit_verbs.hpp"
#include "gateway/cli/policy/edit/token_verbs.hpp"
#include "gateway/cli/policy/explain_verb.hpp"
#include "gateway/cli/policy/history_verbs.hpp"
#include "gateway/cli/policy/import_verb.hpp"
#include "gateway/cli/policy/policy_verbs.hpp"
#include "gateway/cli/store/database_verbs.hpp"
#include "gateway/cli/store/record_verbs.hpp"
#include "gateway/control/control_client.hpp"

#include <CLI/CLI.hpp>

#include <functional>
#include <iostream>
#include <memory>
#include <vector>

namespace gatehouse {
namespace {

/// A verb's place in the grammar, and where the options that it alone takes are put.
template <class Arguments>
struct Command {
  CLI::App& app;
  Arguments& arguments;
};

/// The grammar, and what one call of it asks for.
struct CommandLine {
  CLI::App app{"Gatehouse: a gateway whose frontends are plugins, with one policy over all of them", "gatehouse"};
  PrintableStream out{std::cout};  // whatever a verb forgets to escape
  Invocation invocation{.out = out, .err = std::cerr};
  std::function<int()> run;  ///< the verb that was named

  CommandLine();

 private:
  template <class Arguments>
  Command<Arguments> add(CLI::App& parent, const char* name, const char* summary, Verb<Arguments> verb);
  void take_config(CLI::App& command);
  void take_socket(CLI::App& command);
  void take_row(CLI::App& command, RowArguments& arguments);
  void add_gateway_verbs();
  void add_record_verbs();
  void add_database_verbs();
  void add_plugin_verbs();
  void add_plugin_new(CLI::App& group);
  void add_attach();
  void add_probe();
  void add_policy_verbs();
  void add_explain(CLI::App& group);
  void add_import(CLI::App& group);
  void add_history(CLI::App& group);
  void add_names(CLI::App& group);
  void add_permits(CLI::App& group);
  void add_token_verbs();

  std::vector<std::shared_ptr<void>> arguments_;  // of all verbs; CLI11 holds references to them
};

template <class Arguments>
Command<Arguments> CommandLine::add(CLI::App& parent, const char* name, const char* summary, Verb<Arguments> verb) {
  CLI::App& command = *parent.add_subcommand(name, summary);
  command.add_flag("--json", invocation.json, "Print the JSON body as it is");
  const auto arguments = std::make_shared<Arguments>();
  arguments_.push_back(arguments);
  command.callback(
      [this, verb, &of_verb = *arguments] { run = [this, verb, &of_verb] { return verb(invocation, of_verb); }; });
  return {command, *arguments};
}

void CommandLine::take_config(CLI::App& command) {
  command.add_option("--config", invocation.config, "Configuration file")->capture_default_str()->type_name("FILE");
  command.add_option("--set", invocation.overrides, "Over the files, such as log.level=debug; repeatable")
      ->allow_extra_args(false)
      ->type_name("KEY=VALUE");
}

void CommandLine::take_socket(CLI::App& command) {
  take_config(command);
  command.add_option("--socket", invocation.socket, "Control socket, in place of the one that the configuration has");
}

void CommandLine::take_row(CLI::App& command, RowArguments& arguments) {
  take_config(command);
  command.add_option("--group", arguments.group, "Only for clients of this group");
  command.add_option("--for", arguments.duration, "Until then: 90s, 15m, 2h, 7d")->type_name("DURATION");
  command.add_option("--comment", arguments.comment, "Why, for whoever reads the row");
}

void CommandLine::add_gateway_verbs() {
  take_config(add(app, "run", "Run the gateway in the foreground", run_verb).app);
  take_config(
      add(app, "check",
          "Would `run` start, as this user? Checks the configuration, every enabled plugin, folders and databases",
          check_verb)
          .app);
  take_socket(add(app, "status", "State of the running gateway", status_verb).app);
  take_socket(add(app, "reload", "Put the changed configuration in force, all of it or nothing", reload_verb).app);
  take_socket(add(app, "drain", "Take no new clients and stop when the last is gone", drain_verb).app);
}

void CommandLine::add_record_verbs() {
  const auto add_records = [this](const char* name, const char* summary, Verb<RecordArguments> verb) {
    const auto command = add(app, name, summary, verb);
    take_socket(command.app);
    command.app.add_option("--limit", command.arguments.most, "At most so many rows; 0 = 100000, which is the most")
        ->capture_default_str();
    return command;
  };
  const auto sessions = add_records("sessions", "Who is there, by plugin: clients' lasting sessions", sessions_verb);
  sessions.app.add_flag("--ended", sessions.arguments.ended, "Those that have ended, too");
  sessions.app.add_option("--plugin", sessions.arguments.plugin, "Only of this one")->type_name("NAME");
  add_records("leases", "Who holds which address or number, and until when", leases_verb);
  const auto usage = add_records("usage", "What clients' sessions have carried", usage_verb);
  usage.app.add_option("--since", usage.arguments.since, "First day (UTC), such as 2026-11-21; default: of this month")
      ->type_name("DATE");
  usage.app.add_option("--by", usage.arguments.by, "What a row stands for")
      ->check(CLI::IsMember({"identity", "group", "plugin", "day"}))
      ->capture_default_str();
}

void CommandLine::add_database_verbs() {
  CLI::App& group = *app.add_subcommand("db", "Copy and check the gateway's databases");
  group.require_subcommand(1);
  const auto [copy, arguments] = add(group, "backup", "Copy state.db, also while the gateway runs", db_backup_verb);
  take_config(copy);
  copy.add_option("FILE", arguments.file, "Where to; must not be there yet")->required();
  CLI::Option* const policy =
      copy.add_flag("--policy", arguments.policy, "Copy policy.db, and its lists to lists/ beside FILE");
  copy.add_flag("--secrets", arguments.secrets, "Copy secrets.db: keep the copy where nobody else can read it")
      ->excludes(policy);
  take_config(
      add(group, "verify", "Read state.db, secrets.db and policy.db, and name what is wrong with them", db_verify_verb)
          .app);
}

void CommandLine::add_plugin_verbs() {
  CLI::App& group = *app.add_subcommand("plugin", "Look at plugins, check them and switch them");
  group.require_subcommand(1);
  take_socket(add(group, "list", "Every plugin that can be found, and which of them run", plugin_list_verb).app);
  const auto add_named = [&](const char* name, const char* summary, Verb<PluginArguments> verb) {
    const auto [command, arguments] = add(group, name, summary, verb);
    take_socket(command);
    command.add_option("NAME", arguments.name, "Plugin")->required();
  };
  add_named("describe", "A plugin's listeners, options and probe", plugin_describe_verb);
  const auto check = add(group, "check", "Does this file keep the rules that plugins are held to?", plugin_check_verb);
  check.app.add_option("FILE", check.arguments.file, "Plugin file")->required();
  check.app.add_option("--options", check.arguments.options, "Options, where it does not start with its defaults")
      ->type_name("JSON");
  add_named("enable", "Switch a plugin on, at once and for later starts", plugin_enable_verb);
  add_named("disable", "Switch a plugin off, at once and for later starts", plugin_disable_verb);
  add_plugin_new(group);
}

void CommandLine::add_plugin_new(CLI::App& group) {
  const auto [command, arguments] =
      add(group, "new", "Make the project of a plugin of your own; its README is the tutorial", plugin_new_verb);
  command.add_option("NAME", arguments.name, "The plugin's name, such as my-protocol")->required();
  command.add_option("--kind", arguments.kind, "What its clients send")
      ->required()
      ->check(CLI::IsMember({"stream", "datagram", "packet"}));
  command.add_option("--directory", arguments.directory, "Where to; default: NAME, here")->type_name("FOLDER");
}

void CommandLine::add_attach() {
  const auto [attach, arguments] =
      add(app, "attach", "Join standard input and output with a plugin's listener", attach_verb);
  take_config(attach);
  attach.add_option("NAME", arguments.plugin, "Plugin")->required();
  attach.add_option("--socket", arguments.socket,
                    "The Unix listener's path, in place of the one that the configuration has");
  ClientOptions& stream = arguments.stream;
  attach.add_option("--address", stream.address, "A listener over TCP, here or elsewhere")->type_name("HOST:PORT");
  attach.add_flag("--tls", stream.tls, "It speaks TLS");
  attach.add_option("--ca", stream.ca, "Whom to trust for its certificate; default: whom this system trusts")
      ->type_name("FILE");
  attach.add_option("--cert", stream.cert, "The certificate to show")->type_name("FILE");
  attach.add_option("--key", stream.key, "Its private key")->type_name("FILE");
  attach.add_option("--server-name", stream.server_name, "Whom its certificate must be for; default: HOST")
      ->type_name("NAME");
  attach.add_option("--min-tls", stream.least_tls, "The oldest version of TLS that will do, 1.2 or 1.3")
      ->capture_default_str();
  attach.add_flag("--http", stream.http, "It begins with an HTTP opening");
  attach.add_flag("--websocket", stream.web_socket, "The same, and goes on as WebSocket");
  attach.add_option("--path", stream.path, "/ and the plugin's name in the server's configuration; default: PLUGIN's")
      ->type_name("/NAME");
  attach.add_option("--token-file", stream.token_file, "The token to show in the opening is its first line")
      ->type_name("FILE");
}

void CommandLine::add_probe() {
  const auto command =
      add(app, "probe", "Does a frontend work? gatehouse probe [OPTIONS] NAME ARGUMENTS...", probe_verb);
  take_config(command.app);
  command.app.prefix_command();  // from NAME on, everything is the probe's
  command.app.callback([this, command] {
    std::vector<std::string> words = command.app.remaining();
    if (words.empty()) throw CLI::RequiredError("NAME");
    command.arguments.plugin = words.front();
    words.erase(words.begin());
    command.arguments.words = std::move(words);
    run = [this, command] { return probe_verb(invocation, command.arguments); };
  });
}

void CommandLine::add_policy_verbs() {
  CLI::App& group = *app.add_subcommand("policy", "Make, read and explain the policy");
  group.require_subcommand(1);
  take_config(
      add(group, "init", "Make policy.db with the starter policy, or migrate an older one", policy_init_verb).app);
  const auto [show, arguments] = add(group, "show", "Every row, table by table", policy_show_verb);
  take_config(show);
  show.add_option("TABLE", arguments.table, "This table alone");
  take_config(add(group, "problems", "Rows that are not in force, and why", policy_problems_verb).app);
  take_config(add(group, "order", "The order of judgement; the same for every configuration", policy_order_verb).app);
  add_explain(group);
  add_import(group);
  add_history(group);
  add_names(group);
  add_permits(group);
}

void CommandLine::add_history(CLI::App& group) {
  const auto history = add(group, "history", "What was changed, by whom and when, newest first", policy_history_verb);
  take_config(history.app);
  history.app.add_option("--limit", history.arguments.limit, "At most so many changes")->capture_default_str();
  const auto diff = add(group, "diff", "What a change and all later ones come to, row by row", policy_diff_verb);
  take_config(diff.app);
  diff.app.add_option("NUMBER", diff.arguments.change, "Change, as in history; the last one if left out");
  const auto undo = add(group, "undo", "Take one change back; that is a change too", policy_undo_verb);
  take_config(undo.app);
  undo.app.add_option("NUMBER", undo.arguments.change, "Change, as in history")->required();
  undo.app.add_flag("--force", undo.arguments.force, "Also when the row has been changed since");
}

void CommandLine::add_names(CLI::App& group) {
  const auto block = add(group, "block", "Block a domain name and all names below it", policy_block_verb);
  take_row(block.app, block.arguments);
  block.app.add_option("NAME", block.arguments.name, "Such as ads.example")->required();
  block.app.add_flag("--exact", block.arguments.exact, "The name alone");
  const auto unblock =
      add(group, "unblock", "Delete the rows that block this name; allow it where a list does", policy_unblock_verb);
  take_config(unblock.app);
  unblock.app.add_option("NAME", unblock.arguments.name, "Such as ads.example")->required();
  unblock.app.add_option("--group", unblock.arguments.group, "The rows of this group");
}

void CommandLine::add_permits(CLI::App& group) {
  const auto add_permit = [&](const char* name, const char* summary, Verb<PermitArguments> verb) {
    const auto [permit, arguments] = add(group, name, summary, verb);
    take_row(permit, arguments);
    permit.add_option("TRANSPORT", arguments.transport, "udp, tcp, icmp or any")->required();
    permit.add_option("PORTS", arguments.ports, "53,443,3478-3481, or all; for icmp all")->required();
    permit.add_option("--to", arguments.destination, "Destinations")->type_name("CIDR");
    permit.add_option("--priority", arguments.priority, "Lower is judged earlier; 100, for a deny 50");
  };
  add_permit("permit", "Permit ports", policy_permit_verb);
  add_permit("deny", "Deny ports", policy_deny_verb);
}

void CommandLine::add_token_verbs() {
  CLI::App& group = *app.add_subcommand("token", "Tokens by which clients are known");
  group.require_subcommand(1);
  const auto make = add(group, "new", "Make a token; it is printed once", token_new_verb);
  take_config(make.app);
  make.app.add_option("NAME", make.arguments.name, "The client is token:NAME")->required();
  make.app.add_option("--plugin", make.arguments.plugin, "Only for this plugin");
  make.app.add_option("--for", make.arguments.duration, "Until then: 15m, 2h, 30d")->type_name("DURATION");
  make.app.add_option("--comment", make.arguments.comment, "Why, for whoever reads the row");
  take_config(add(group, "list", "Every token's row", token_list_verb).app);
  const auto revoke = add(group, "revoke", "Delete the tokens of a name, or one by its id", token_revoke_verb);
  revoke.app.add_option("NAME", revoke.arguments.name_or_id, "Name, or id as in `token list`")->required();
  revoke.app.add_flag("--cut", revoke.arguments.cut, "End the sessions of whoever had it, too");
  take_socket(revoke.app);
}

void CommandLine::add_import(CLI::App& group) {
  const auto [command, arguments] =
      add(group, "import", "Take a published block list in, or replace it", policy_import_verb);
  take_config(command);
  command.add_option("NAME", arguments.name, "The list's name, in domain_lists")->required();
  command.add_option("FILE", arguments.file, "Its text, or - for standard input")->required();
  command.add_option("--format", arguments.format, "How it is written")
      ->check(CLI::IsMember({"auto", "hosts", "domains", "adblock", "rpz", "dnsmasq", "unbound"}))
      ->capture_default_str();
  command
      .add_option("--match", arguments.match,
                  "Where the format leaves it open. Default: as it was; new ones suffix, hosts exact")
      ->check(CLI::IsMember({"exact", "suffix"}));
  command.add_option("--action", arguments.action, "Default: as it was; new ones block")
      ->check(CLI::IsMember({"block", "allow", "monitor"}));
  command.add_option("--group", arguments.group, "Only for this group's clients; default: as it was; new ones all");
  command.add_flag("--allow-wide", arguments.allow_wide, "Take entries that cover a public suffix, too");
  command.add_flag("--allow-shrink", arguments.allow_shrink, "Also when it shrank by more than half, or is empty");
  command.add_flag("--force", arguments.force, "Both");
}

void CommandLine::add_explain(CLI::App& group) {
  const auto [explain, arguments] =
      add(group, "explain", "May this client reach that? Each step, the row that decides, what is left of limits",
          policy_explain_verb);
  take_socket(explain);
  explain.add_option("TRANSPORT", arguments.transport, "tcp, udp or a protocol number")->required();
  explain.add_option("DESTINATION", arguments.destination, "198.51.100.4:53 or [2001:db8::1]:53")->required();
  explain.add_option("--plugin", arguments.plugin, "Frontend that the client came through");
  explain.add_option("--listener", arguments.listener, "Listener that it came through, as configured");
  explain.add_option("--source", arguments.source, "The client's address");
  explain.add_option("--identity", arguments.identity, "Who it is, such as token:bob");
  explain.add_option("--domain", arguments.domain, "Name that is asked for");
  explain.add_option("--db", arguments.database, "Another policy database, for a dry run")->type_name("FILE");
  explain
      .add_option("--at", arguments.at, "At another time, in UTC, such as 2026-11-21T14:30:00Z: for rows that expire")
      ->type_name("TIME");
  explain.add_flag("--resolver", arguments.resolver, "The destination is one of the gateway's own resolvers");
  explain.add_flag("--peer", arguments.peer, "The flow is a relay leg whose peer asked for it");
}

CommandLine::CommandLine() {
  app.require_subcommand(1);
  app.failure_message(CLI::FailureMessage::simple);
  app.set_version_flag("--version", std::string("gatehouse ") + kVersion, "Print the version");
  add_gateway_verbs();
  add_record_verbs();
  add_attach();
  add_probe();
  add_plugin_verbs();
  add_policy_verbs();
  add_token_verbs();
  add_database_verbs();
}

}  // namespace

int run_cli(int argc, char** argv) {
  CommandLine line;
  try {
    line.app.parse(argc, argv);
    return line.run();
  } catch (const CLI::ParseError& error) {
    PrintableStream err(std::cerr);  // it quotes what it does not know
    return line.app.exit(error, line.out, err) == 0 ? kExitYes : kExitWrong;
  } catch (const BrokenConfig& broken) {
    complain(line.invocation, broken.problems);
    return kExitWrong;
  } catch (const NoGateway& nobody) {
    complain(line.invocation, nobody.what());
    return kExitNo;
  } catch (const std::exception& error) {
    complain(line.invocation, error.what());
    return kExitWrong;
  }
}

}  // namespace gatehouse
