// The verbs of `gatehouse`, one function each; cli.cpp reads the arguments. Each returns an exit code (invocation.hpp)
// and throws BrokenConfig, NoGateway, Refusal or another std::exception with a sentence.
#pragma once

#include "gateway/cli/invocation.hpp"
#include "gateway/cli/policy/explain.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace gatehouse {

/// The daemon, in the foreground, until a signal ends it.
[[nodiscard]] int run_verb(const Invocation& invocation);
/// Would `run` start? Reads the configuration and loads each enabled plugin, without any effect.
[[nodiscard]] int check_verb(const Invocation& invocation);

/// Asked of the running gateway. `status` is a "no" unless the state is ok.
[[nodiscard]] int status_verb(const Invocation& invocation);
[[nodiscard]] int reload_verb(const Invocation& invocation);
[[nodiscard]] int drain_verb(const Invocation& invocation);

/// Joins standard input and output with the first unix: listener of `plugin`, or with `socket`.
[[nodiscard]] int attach_verb(const Invocation& invocation, const std::string& plugin,
                              const std::filesystem::path& socket);

[[nodiscard]] int plugin_list_verb(const Invocation& invocation);
[[nodiscard]] int plugin_describe_verb(const Invocation& invocation, const std::string& plugin);
[[nodiscard]] int plugin_switch_verb(const Invocation& invocation, const std::string& plugin, bool enabled);

/// Runs the plugin's own little client with `arguments`.
[[nodiscard]] int probe_verb(const Invocation& invocation, const std::string& plugin,
                             const std::vector<std::string>& arguments);

/// policy_explain (explain.hpp) with what the configuration says: the database and the gateway that serves it (not for
/// another database or time), the plugin's allow_local_destinations, the gateway's own listeners.
[[nodiscard]] int explain_verb(const Invocation& invocation, PolicyQuestion question);

}  // namespace gatehouse
