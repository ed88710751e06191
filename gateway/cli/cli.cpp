// The only file that includes CLI11: the grammar of the command line, verb by verb.
#include "gateway/cli/cli.hpp"

#include "gateway/base/version.hpp"
#include "gateway/cli/gateway_verbs.hpp"
#include "gateway/cli/policy/edit/name_verbs.hpp"
#include "gateway/cli/policy/edit/permit_verbs.hpp"
#include "gateway/cli/policy/edit/token_verbs.hpp"
#include "gateway/cli/policy/history_verbs.hpp"
#include "gateway/cli/policy/import_verb.hpp"
#include "gateway/cli/policy/policy_verbs.hpp"
#include "gateway/cli/store/record_verbs.hpp"
#include "gateway/control/control_client.hpp"

#include <CLI/CLI.hpp>

#include <functional>
#include <iostream>
#include <optional>

namespace gatehouse {
namespace {

/// The arguments of one call, and what is to be done with them.
struct CommandLine {
  CLI::App app{"Gatehouse: a gateway whose frontends are plugins, with one policy over all of them", "gatehouse"};
  Invocation invocation;
  std::string plugin;
  std::filesystem::path attach_socket;
  std::vector<std::string> arguments;
  std::string table;
  PolicyQuestion question;
  ImportArguments import;
  NameOrder name_order;
  PermitOrder permit_order;
  TokenOrder token_order;
  std::string token;
  StoreQuestion store_question;
  BackupOrder backup;
  std::int64_t limit = 20;
  std::optional<std::int64_t> change;
  bool force = false;
  std::function<int()> verb;

  CommandLine();
  CLI::App* add(CLI::App& parent, const char* name, const char* summary, std::function<int()> what);
  void take_config(CLI::App* verb);
  void take_socket(CLI::App* verb);
  void take_plugin(CLI::App* verb);
  void add_control_verbs();
  void add_store_verbs();
  void add_db_verbs();
  void add_plugin_verbs();
  void add_client_verbs();
  void add_policy_verbs();
  void add_explain(CLI::App& group);
  void add_import(CLI::App& group);
  void add_history(CLI::App& group);
  void add_edits(CLI::App& group);
  void add_token_verbs();
  void take_row(CLI::App* verb, RowOrder& order);
  [[nodiscard]] std::filesystem::path policy_db() const {
    return load_config_or_defaults(invocation).state_dir / "policy.db";
  }
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
  take_socket(add(app, "reload", "Put the changed configuration in force, all of it or nothing",
                  [this] { return reload_verb(invocation); }));
  take_socket(add(app, "drain", "Take no new clients and stop when the last is gone",
                  [this] { return drain_verb(invocation); }));
}

void CommandLine::add_store_verbs() {
  const auto add_shown = [this](const char* name, const char* summary, auto show) {
    CLI::App* verb_of = add(app, name, summary, [this, show] { return show(invocation, store_question); });
    take_socket(verb_of);
    verb_of->add_option("--limit", store_question.most, "At most so many rows; 0 = 100000, which is the most")
        ->capture_default_str();
    return verb_of;
  };
  add_shown("sessions", "Who is there, by plugin: clients' lasting sessions", sessions_verb)
      ->add_flag("--ended", store_question.ended, "Those that have ended, too");
  add_shown("leases", "Who holds which address or number, and until when", leases_verb);
  CLI::App* usage = add_shown("usage", "What clients' sessions have carried", usage_verb);
  usage->add_option("--since", store_question.since, "First day (UTC), such as 2026-11-21; default: of this month")
      ->type_name("DATE");
  usage->add_option("--by", store_question.by, "What a row stands for")
      ->check(CLI::IsMember({"identity", "group", "plugin", "day"}))
      ->capture_default_str();
}

void CommandLine::add_db_verbs() {
  CLI::App* group = app.add_subcommand("db", "Copy and check the gateway's databases");
  group->require_subcommand(1);
  CLI::App* copy = add(*group, "backup", "Copy state.db, also while the gateway runs",
                       [this] { return db_backup_verb(invocation, backup); });
  take_config(copy);
  copy->add_option("FILE", backup.file, "Where to; must not be there yet")->required();
  CLI::Option* const policy =
      copy->add_flag("--policy", backup.policy, "Copy policy.db, and its lists to lists/ beside FILE");
  copy->add_flag("--secrets", backup.secrets, "Copy secrets.db: keep the copy where nobody else can read it")
      ->excludes(policy);
  take_config(add(*group, "verify", "Read state.db, secrets.db and policy.db, and name what is wrong with them",
                  [this] { return db_verify_verb(invocation); }));
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

void CommandLine::add_policy_verbs() {
  CLI::App* group = app.add_subcommand("policy", "Make, read and explain the policy");
  group->require_subcommand(1);
  take_config(add(*group, "init", "Make policy.db with the starter policy, or migrate an older one",
                  [this] { return policy_init(policy_db(), std::cout, invocation.json); }));
  CLI::App* show = add(*group, "show", "Every row, table by table",
                       [this] { return policy_show(policy_db(), table, std::cout, invocation.json); });
  take_config(show);
  show->add_option("TABLE", table, "This table alone");
  take_config(add(*group, "problems", "Rows that are not in force, and why",
                  [this] { return policy_problems(policy_db(), std::cout, invocation.json); }));
  take_config(add(*group, "order", "The order of judgement; the same for every configuration",
                  [this] { return policy_order(std::cout, invocation.json); }));
  add_explain(*group);
  add_import(*group);
  add_history(*group);
  add_edits(*group);
}

void CommandLine::add_history(CLI::App& group) {
  CLI::App* history = add(group, "history", "What was changed, by whom and when, newest first",
                          [this] { return policy_history(policy_db(), limit, std::cout, invocation.json); });
  take_config(history);
  history->add_option("--limit", limit, "At most so many changes")->capture_default_str();
  CLI::App* diff = add(group, "diff", "What a change and all later ones come to, row by row",
                       [this] { return policy_diff(policy_db(), change, std::cout, invocation.json); });
  take_config(diff);
  diff->add_option("NUMBER", change, "Change, as in history; the last one if left out");
  CLI::App* undo = add(group, "undo", "Take one change back; that is a change too", [this] {
    return policy_undo(policy_db(), change.value_or(0), force, std::cout, std::cerr, invocation.json);
  });
  take_config(undo);
  undo->add_option("NUMBER", change, "Change, as in history")->required();
  undo->add_flag("--force", force, "Also when the row has been changed since");
}

void CommandLine::take_row(CLI::App* command, RowOrder& order) {
  take_config(command);
  command->add_option("--group", order.group, "Only for clients of this group");
  command->add_option("--for", order.lasts, "Until then: 90s, 15m, 2h, 7d")->type_name("DURATION");
  command->add_option("--comment", order.comment, "Why, for whoever reads the row");
}

void CommandLine::add_edits(CLI::App& group) {
  CLI::App* block = add(group, "block", "Block a domain name and all names below it",
                        [this] { return policy_block(policy_db(), name_order, std::cout, invocation.json); });
  take_row(block, name_order);
  block->add_option("NAME", name_order.name, "Such as ads.example")->required();
  block->add_flag("--exact", name_order.exact, "The name alone");
  CLI::App* unblock = add(group, "unblock", "Delete the rows that block this name; allow it where a list does",
                          [this] { return policy_unblock(policy_db(), name_order, std::cout, invocation.json); });
  take_config(unblock);
  unblock->add_option("NAME", name_order.name, "Such as ads.example")->required();
  unblock->add_option("--group", name_order.group, "The rows of this group");
  const auto add_permit = [&](const char* name, const char* summary, auto place) {
    CLI::App* permit = add(group, name, summary,
                           [this, place] { return place(policy_db(), permit_order, std::cout, invocation.json); });
    take_row(permit, permit_order);
    permit->add_option("TRANSPORT", permit_order.transport, "udp, tcp or any")->required();
    permit->add_option("PORTS", permit_order.ports, "53,443,3478-3481, or all")->required();
    permit->add_option("--to", permit_order.destination, "Destinations")->type_name("CIDR");
    permit->add_option("--priority", permit_order.priority, "Lower is judged earlier; 100, for a deny 50");
  };
  add_permit("permit", "Permit ports", policy_permit);
  add_permit("deny", "Deny ports", policy_deny);
}

void CommandLine::add_token_verbs() {
  CLI::App* group = app.add_subcommand("token", "Tokens by which clients are known");
  group->require_subcommand(1);
  CLI::App* make = add(*group, "new", "Make a token; it is printed once",
                       [this] { return token_new(policy_db(), token_order, std::cout, invocation.json); });
  take_config(make);
  make->add_option("NAME", token_order.name, "The client is token:NAME")->required();
  make->add_option("--plugin", token_order.plugin, "Only for this plugin");
  make->add_option("--for", token_order.lasts, "Until then: 15m, 2h, 30d")->type_name("DURATION");
  make->add_option("--comment", token_order.comment, "Why, for whoever reads the row");
  take_config(
      add(*group, "list", "Every token's row", [this] { return token_list(policy_db(), std::cout, invocation.json); }));
  CLI::App* revoke = add(*group, "revoke", "Delete the tokens of a name, or one by its id",
                         [this] { return token_revoke(policy_db(), token, std::cout, std::cerr, invocation.json); });
  take_config(revoke);
  revoke->add_option("NAME", token, "Name, or id as in `token list`")->required();
}

void CommandLine::add_import(CLI::App& group) {
  CLI::App* verb_import = add(group, "import", "Take a published block list in, or replace it", [this] {
    return policy_import(policy_db(), import, std::cout, std::cerr, invocation.json);
  });
  take_config(verb_import);
  verb_import->add_option("NAME", import.name, "The list's name, in domain_lists")->required();
  verb_import->add_option("FILE", import.file, "Its text, or - for standard input")->required();
  verb_import->add_option("--format", import.format, "How it is written")
      ->check(CLI::IsMember({"auto", "hosts", "domains", "adblock", "rpz", "dnsmasq", "unbound"}))
      ->capture_default_str();
  verb_import->add_option("--match", import.match, "Default: as it was; new ones suffix, from hosts files exact")
      ->check(CLI::IsMember({"exact", "suffix"}));
  verb_import->add_option("--action", import.action, "Default: as it was; new ones block")
      ->check(CLI::IsMember({"block", "allow", "monitor"}));
  verb_import->add_option("--group", import.group, "Only for this group's clients; default: as it was; new ones all");
  verb_import->add_flag("--force", import.force, "Also when it shrank by half, is empty or covers public suffixes");
}

void CommandLine::add_explain(CLI::App& group) {
  CLI::App* explain =
      add(group, "explain", "May this client reach that? Each step, the row that decides, what is left of limits",
          [this] { return explain_verb(invocation, question); });
  take_socket(explain);
  explain->add_option("TRANSPORT", question.transport, "tcp, udp or a protocol number")->required();
  explain->add_option("DESTINATION", question.destination, "198.51.100.4:53 or [2001:db8::1]:53")->required();
  explain->add_option("--plugin", question.plugin, "Frontend that the client came through");
  explain->add_option("--listener", question.listener, "Listener that it came through, as configured");
  explain->add_option("--source", question.source, "The client's address");
  explain->add_option("--identity", question.identity, "Who it is, such as token:bob");
  explain->add_option("--domain", question.domain, "Name that is asked for");
  explain->add_option("--db", question.database, "Another policy database, for a dry run")->type_name("FILE");
  explain
      ->add_option("--at", question.at, "At another time, in UTC, such as 2026-11-21T14:30:00Z: for rows that expire")
      ->type_name("TIME");
  explain->add_flag("--resolver", question.resolver, "The destination is one of the gateway's own resolvers");
  explain->add_flag("--peer", question.peer, "The flow is a relay leg whose peer asked for it");
}

CommandLine::CommandLine() {
  app.require_subcommand(1);
  app.failure_message(CLI::FailureMessage::simple);
  app.set_version_flag("--version", std::string("gatehouse ") + kVersion, "Print the version");
  add_control_verbs();
  add_store_verbs();
  add_client_verbs();
  add_plugin_verbs();
  add_policy_verbs();
  add_token_verbs();
  add_db_verbs();
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
