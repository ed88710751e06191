// What every verb is called with, and how each ends. One thread, the program's main one.
#pragma once

#include "gateway/config/config.hpp"

#include <filesystem>
#include <iosfwd>
#include <stdexcept>
#include <string>
#include <vector>

namespace gatehouse {

inline constexpr int kExitYes = 0;     ///< yes, or fine
inline constexpr int kExitNo = 1;      ///< no, denied, unhealthy, not running
inline constexpr int kExitWrong = 2;   ///< wrong use or broken configuration
inline constexpr int kExitPartly = 3;  ///< done, but not all of it: the output says what is missing

inline constexpr const char* kDefaultConfig = "/etc/gatehouse/gatehouse.toml";

/// The options that all verbs share, and where a verb writes.
struct Invocation {
  std::ostream& out;  ///< standard output, or a test's
  std::ostream& err;  ///< standard error, or a test's
  std::filesystem::path config = kDefaultConfig;
  std::vector<std::string> overrides = {};  ///< of --set
  std::filesystem::path socket = {};        ///< of --socket, or "" = the one in gateway.runtime_dir
  bool json = false;
};

/// The signature of every verb; `Arguments` holds the options that it alone takes. Writes for people, or with --json
/// one object. Returns an exit code; throws BrokenConfig, NoGateway, Refusal or another std::exception with a sentence
/// for the operator, which run_cli() prints.
template <class Arguments>
using Verb = int (*)(const Invocation& invocation, const Arguments& arguments);

/// Of a verb that takes no options of its own.
struct NoArguments {};

/// The configuration cannot be used; each problem is one line for the operator.
class BrokenConfig : public std::runtime_error {
 public:
  explicit BrokenConfig(std::vector<ConfigProblem> all);
  std::vector<ConfigProblem> problems;
};

/// @throws BrokenConfig
[[nodiscard]] Config load_config(const Invocation& invocation);

/// For verbs that work without an installed gateway (`probe` from another machine): without a configuration file at
/// the default place, the defaults, with the plugins beside this program. @throws BrokenConfig
[[nodiscard]] Config load_config_or_defaults(const Invocation& invocation);

/// The policy database of that configuration. @throws BrokenConfig
[[nodiscard]] std::filesystem::path policy_db(const Invocation& invocation);

/// "gatehouse: <sentence>" on standard error.
void complain(const Invocation& invocation, const std::string& sentence);

/// Each problem as such a line; with --json, as {"problems": [{file, line, column, sentence}]} on standard output.
void complain(const Invocation& invocation, const std::vector<ConfigProblem>& problems);

}  // namespace gatehouse
