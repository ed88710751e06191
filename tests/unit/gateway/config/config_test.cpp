#include "gateway/config/config.hpp"

#include "tests/unit/gateway/config/config_folder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gatehouse {
namespace {

using testing::ElementsAre;

/// What reading `text` complains of, each as "line:column: sentence".
std::vector<std::string> problems_of(const std::string& text, const std::vector<std::string>& overrides = {}) {
  const ConfigFolder folder;
  const auto file = folder.write("gatehouse.toml", text);
  std::vector<std::string> out;
  for (const ConfigProblem& problem : read_config(file, overrides).problems) {
    const std::string whole = problem.to_string();
    const std::string prefix = file.string() + ":";
    out.push_back(whole.rfind(prefix, 0) == 0 ? whole.substr(prefix.size()) : whole);
  }
  return out;
}

Config valid(const std::string& text, const std::vector<std::string>& overrides = {}) {
  const ConfigFolder folder;
  const ConfigReading reading = read_config(folder.write("gatehouse.toml", text), overrides);
  for (const ConfigProblem& problem : reading.problems) ADD_FAILURE() << problem.to_string();
  return reading.config.value_or(Config{});
}

struct Wrong {
  const char* name;
  const char* toml;
  const char* problem;  // "line:column: sentence"
};

class WrongConfig : public testing::TestWithParam<Wrong> {};

TEST_P(WrongConfig, IsOneSentence) { EXPECT_THAT(problems_of(GetParam().toml), ElementsAre(GetParam().problem)); }

constexpr Wrong kWrong[] = {
    {"UnknownTable", "[plugn.udpgw]\n", "1:2: unknown key `plugn`; did you mean `plugin`?"},
    {"UnknownKey", "[gateway]\nstate_dri = \"/x\"\n",
     "2:1: unknown key `gateway.state_dri`; did you mean `gateway.state_dir`?"},
    {"FarKey", "[log]\nflavour = 1\n", "2:1: unknown key `log.flavour`; known here: level, format, flow_log"},
    {"TableIsNumber", "log = 5\n", "1:7: `log` must be a table, not 5"},
    {"RelativePath", "[gateway]\nruntime_dir = \"run\"\n",
     "2:15: `gateway.runtime_dir` must be an absolute path, not \"run\""},
    {"PathList", "[gateway]\nplugin_dirs = [\"/a\", 3]\n",
     "2:22: `gateway.plugin_dirs` must be an array of absolute paths, not 3"},
    {"LaneTimeout", "[gateway]\nlane_timeout_seconds = 0\n",
     "2:24: `gateway.lane_timeout_seconds` must be a number from 1 to 3600, not 0"},
    {"Nat64Text", "[gateway]\nnat64_prefixes = \"2001:db8::/96\"\n",
     "2:18: `gateway.nat64_prefixes` must be an array of IPv6 prefixes of 32, 40, 48, 56, 64 or 96 bits that a "
     "translator (RFC 6052) embeds IPv4 addresses in, such as [\"2001:db8:64::/96\"], not \"2001:db8::/96\""},
    {"Nat64Length", "[gateway]\nnat64_prefixes = [\"2001:db8::/96\", \"2001:db8::/80\"]\n",
     "2:36: `gateway.nat64_prefixes` must be an array of IPv6 prefixes of 32, 40, 48, 56, 64 or 96 bits that a "
     "translator (RFC 6052) embeds IPv4 addresses in, such as [\"2001:db8:64::/96\"], not \"2001:db8::/80\""},
    {"LogLevel", "[log]\nlevel = \"loud\"\n",
     "2:9: `log.level` must be one of error, warn, info, debug, trace, not \"loud\""},
    {"FlowLog", "[log]\nflow_log = \"flows.json\"\n",
     "2:12: `log.flow_log` must be an absolute path, or \"\" for no flow log, not \"flows.json\""},
    {"StoreUrl", "[store]\nurl = \"postgres://db\"\n",
     "2:7: `store.url` must be \"sqlite:\" and an absolute path to a file, or \"memory:\", not \"postgres://db\""},
    {"StoreUrlRelative", "[store]\nurl = \"sqlite:state.db\"\n",
     "2:7: `store.url` must be \"sqlite:\" and an absolute path to a file, or \"memory:\", not \"sqlite:state.db\""},
    {"StoreUrlFolder", "[store]\nurl = \"sqlite:/var/lib/\"\n",
     "2:7: `store.url` must be \"sqlite:\" and an absolute path to a file, or \"memory:\", not \"sqlite:/var/lib/\""},
    {"StoreUrlPath", "[store]\nurl = \"/state.db\"\n",
     "2:7: `store.url` must be \"sqlite:\" and an absolute path to a file, or \"memory:\", not \"/state.db\""},
    {"StoreUrlNone", "[store]\nurl = \"\"\n",
     "2:7: `store.url` must be \"sqlite:\" and an absolute path to a file, or \"memory:\", not \"\""},
    {"StoreFailure", "[store]\non_store_failure = \"panic\"\n",
     "2:20: `store.on_store_failure` must be one of serve, no_new, stop, not \"panic\""},
    {"StoreDays", "[store]\nretention_days = 0\n",
     "2:18: `store.retention_days` must be a number from 1 to 36500, not 0"},
    {"StoreDaysText", "[store]\nretention_days = \"a month\"\n",
     "2:18: `store.retention_days` must be a number from 1 to 36500, not \"a month\""},
    {"StoreBytes", "[store]\nmax_bytes = 1000\n",
     "2:13: `store.max_bytes` must be a number from 1048576 to 9223372036854775807, not 1000"},
    {"StoreKey", "[store]\nretention = 3\n",
     "2:1: unknown key `store.retention`; did you mean `store.retention_days`?"},
    {"MetricsListen", "[metrics]\nlisten = \"localhost:1\"\n",
     "2:10: `metrics.listen` must be an address with a port such as \"127.0.0.1:9477\", or \"\" for none, not "
     "\"localhost:1\""},
    {"ControlMode", "[control]\nmode = \"0999\"\n",
     "2:8: `control.mode` must be permissions such as \"0660\", not \"0999\""},
    {"Admins", "[control]\nadmins = \"root\"\n", "2:10: `control.admins` must be an array of strings, not \"root\""},
    {"PluginName", "[plugin.My_Own]\n", "1:9: plugin name `My_Own` must be made of a-z, 0-9 and -, at most 64 of them"},
    {"Enabled", "[plugin.a]\nenabled = \"yes\"\n", "2:11: `plugin.a.enabled` must be true or false, not \"yes\""},
    {"LanesZero", "[plugin.a]\nlanes = 0\n", "2:9: `plugin.a.lanes` must be \"auto\" or a number from 1 to 256, not 0"},
    {"LanesWord", "[plugin.a]\nlanes = \"all\"\n",
     "2:9: `plugin.a.lanes` must be \"auto\" or a number from 1 to 256, not \"all\""},
    {"MisspeltListen", "[plugin.a]\nlisten-api = [\"127.0.0.1:1\"]\n",
     "2:1: unknown key `plugin.a.listen-api`; did you mean `plugin.a.listen`?"},
    {"NoAddress", "[plugin.a]\nlisten = [\"7300\"]\n",
     "2:11: `7300` is no listener address; write 127.0.0.1:7300, [::1]:7300, tls:0.0.0.0:7301, "
     "udp:0.0.0.0:7500 or unix:/path"},
    {"UnixRelative", "[plugin.a]\nlisten = [\"unix:x.sock\"]\n",
     "2:11: `unix:x.sock` needs an absolute path, such as unix:/run/gatehouse/x.sock"},
    {"Open", "[plugin.a]\nlisten = [\"0.0.0.0:7300\"]\n",
     "2:11: `0.0.0.0:7300` would be open to the network without authentication; listen on a loopback address, or write "
     "{ address = \"0.0.0.0:7300\", auth = \"none\" } if that is meant"},
    {"NoAddressInTable", "[plugin.a]\nlisten = [{ auth = \"none\" }]\n",
     "2:11: `plugin.a.listen` needs an address, such as { address = \"127.0.0.1:7300\" }"},
    {"KeyInTable", "[plugin.a]\nlisten = [{ address = \"127.0.0.1:1\", idenity = \"x\" }]\n",
     "2:38: unknown key `plugin.a.listen.idenity`; did you mean `plugin.a.listen.identity`?"},
    {"Identity", "[plugin.a]\nlisten = [{ address = \"127.0.0.1:1\", identity = \"a b\" }]\n",
     "2:49: `plugin.a.listen.identity` must be a name without spaces, such as \"token:bob\", not \"a b\""},
    {"ModeOnTcp", "[plugin.a]\nlisten = [{ address = \"127.0.0.1:1\", mode = \"0600\" }]\n",
     "2:11: `plugin.a.listen` has a mode or a group, which only a unix: listener can have"},
    {"Duplicate", "[plugin.a]\nlisten = [\"127.0.0.1:1\"]\n[plugin.b]\nlisten_api = [\"127.0.0.1:1\"]\n",
     "4:15: `127.0.0.1:1` in `plugin.b.listen_api` is taken by `plugin.a.listen` already; give each listener its own "
     "address"},
    {"DuplicateOfMetrics", "[plugin.a]\nlisten = [\"127.0.0.1:9477\"]\n",
     "2:11: `127.0.0.1:9477` in `plugin.a.listen` is taken by `metrics.listen` already; give each listener its own "
     "address"},
    {"DuplicateOfControl", "[plugin.a]\nlisten = [\"unix:/run/../run/gatehouse/control.sock\"]\n",
     "2:11: `unix:/run/../run/gatehouse/control.sock` in `plugin.a.listen` is taken by the gateway's control socket "
     "already; give each listener its own address"},
    {"Options", "[plugin.a]\noptions = 1\n", "2:11: `plugin.a.options` must be a table, not 1"},
};
INSTANTIATE_TEST_SUITE_P(Table, WrongConfig, testing::ValuesIn(kWrong),
                         [](const auto& test) { return test.param.name; });

TEST(Config, ReportsEveryProblemInTheOrderOfTheFile) {
  EXPECT_THAT(problems_of("[plugin.a]\nlanes = 0\nlisten = [\"x\", \"tls:127.0.0.1:1\"]\n[log]\nlevel = 1\nsize = 2\n"),
              ElementsAre(testing::StartsWith("2:9: "), testing::StartsWith("3:11: "), testing::StartsWith("3:16: "),
                          testing::StartsWith("5:9: "), testing::StartsWith("6:1: ")));
}

TEST(Config, SyntaxErrorHasItsPlace) {
  const auto problems = problems_of("[log]\nlevel = \"info\nformat = \"text\"\n");
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_THAT(problems[0], testing::StartsWith("2:14: error while parsing"));
}

TEST(Config, MissingFileIsOneSentence) {
  const ConfigFolder folder;
  const ConfigReading reading = read_config(folder.path() / "none.toml", {});
  ASSERT_EQ(reading.problems.size(), 1U);
  EXPECT_EQ(reading.problems[0].to_string(),
            (folder.path() / "none.toml").string() +
                ": cannot be read (No such file or directory); name the right file with --config");
  EXPECT_FALSE(reading.config.has_value());
}

TEST(Config, EmptyFileIsTheDefaults) {
  const Config config = valid("");
  EXPECT_EQ(config.state_dir, "/var/lib/gatehouse");
  EXPECT_EQ(config.runtime_dir, "/run/gatehouse");
  EXPECT_EQ(config.log_level, "info");
  EXPECT_EQ(config.flow_log, "");
  EXPECT_EQ(config.store.url, "sqlite:/var/lib/gatehouse/state.db");
  EXPECT_EQ(config.store.on_failure, OnStoreFailure::serve);
  EXPECT_EQ(config.store.retention.days, 30);
  EXPECT_EQ(config.store.retention.most_bytes, 1ULL << 30U);
  EXPECT_EQ(config.metrics_listen, "127.0.0.1:9477");
  EXPECT_THAT(config.control_admins, ElementsAre("root"));
  EXPECT_EQ(config.control_mode, 0660U);
  EXPECT_TRUE(config.plugins.empty());
}

TEST(Config, FullFileIsRead) {
  const Config config = valid(R"(
[gateway]
state_dir = "/s"
runtime_dir = "/r"
plugin_dirs = ["/p", "/q"]
lane_timeout_seconds = 30
nat64_prefixes = ["2001:db8:64::/96", "64:ff9b:1::/48"]
[log]
level = "debug"
format = "json"
flow_log = "/var/log/flows.json"
[store]
url = "sqlite:/fast/disk/gatehouse.db"
on_store_failure = "no_new"
retention_days = 7
max_bytes = 10_485_760
[metrics]
listen = ""
[control]
admins = ["alice", "bob"]
mode = 0o600
[plugin.geneve-relay]
enabled = false
path = "/opt/relay.so"
lanes = 4
pin_lanes = true
memory_bytes = 1048576
allow_local_destinations = true
listen = ["udp:[::]:7500", { address = "[::]:7500", auth = "none", identity = "token:x" }]
listen_api = { address = "unix:/run/api.sock", mode = "0666", group = "nogroup" }
)");
  EXPECT_EQ(config.state_dir, "/s");
  EXPECT_THAT(config.plugin_dirs, ElementsAre("/p", "/q"));
  EXPECT_EQ(config.lane_timeout, std::chrono::seconds(30));
  EXPECT_THAT(config.nat64_prefixes,
              ElementsAre(Prefix::parse("2001:db8:64::/96").value(), Prefix::parse("64:ff9b:1::/48").value()));
  EXPECT_EQ(config.log_format, "json");
  EXPECT_EQ(config.flow_log, "/var/log/flows.json");
  EXPECT_EQ(config.store.state_db(), "/fast/disk/gatehouse.db");
  EXPECT_EQ(config.store.on_failure, OnStoreFailure::no_new);
  EXPECT_EQ(config.store.retention.days, 7);
  EXPECT_EQ(config.store.retention.most_bytes, 10'485'760U);
  EXPECT_EQ(config.metrics_listen, "");
  EXPECT_THAT(config.control_admins, ElementsAre("alice", "bob"));
  EXPECT_EQ(config.control_mode, 0600U);
  const PluginConfig& relay = config.plugins.at("geneve-relay");
  EXPECT_FALSE(relay.enabled);
  EXPECT_EQ(relay.path, "/opt/relay.so");
  EXPECT_EQ(relay.lanes, 4U);
  EXPECT_TRUE(relay.pin_lanes);
  EXPECT_TRUE(relay.allow_local_destinations);
  EXPECT_EQ(relay.memory_bytes, 1'048'576U);
  const auto& listen = relay.listeners.at("listen");
  ASSERT_EQ(listen.size(), 2U);
  EXPECT_EQ(listen[0].kind, ListenAddress::Kind::udp);
  EXPECT_EQ(listen[0].endpoint.to_string(), "[::]:7500");
  EXPECT_EQ(listen[0].text, "udp:[::]:7500");
  EXPECT_EQ(listen[1].kind, ListenAddress::Kind::tcp);
  EXPECT_FALSE(listen[1].auth.any());
  EXPECT_EQ(listen[1].identity, "token:x");
  const auto& api = relay.listeners.at("listen_api");
  ASSERT_EQ(api.size(), 1U);
  EXPECT_EQ(api[0].kind, ListenAddress::Kind::unix_stream);
  EXPECT_EQ(api[0].path, "/run/api.sock");
  EXPECT_EQ(api[0].mode, 0666U);
  EXPECT_EQ(api[0].group, "nogroup");
}

TEST(Config, StoreStandsInTheStateFolderUnlessToldOtherwise) {
  EXPECT_EQ(valid("[gateway]\nstate_dir = \"/s\"\n").store.state_db(), "/s/state.db");
  const StoreConfig memory = valid("[store]\nurl = \"memory:\"\non_store_failure = \"stop\"\n").store;
  EXPECT_EQ(memory.state_db(), "");
  EXPECT_EQ(memory.on_failure, OnStoreFailure::stop);
}

TEST(Config, LanesAutoIsZero) { EXPECT_EQ(valid("[plugin.a]\nlanes = \"auto\"\n").plugins.at("a").lanes, 0U); }

TEST(Config, DisabledPluginMayShareAnAddress) {
  const char* text =
      "[plugin.a]\nlisten = [\"127.0.0.1:1\"]\n[plugin.b]\nenabled = false\nlisten = [\"127.0.0.1:1\"]\n";
  EXPECT_EQ(valid(text).plugins.size(), 2U);
}

TEST(Config, TcpAndUdpAndPortZeroAreNoDuplicates) {
  const char* text = "[plugin.a]\nlisten = [\"127.0.0.1:1\", \"udp:127.0.0.1:1\", \"127.0.0.1:0\", \"127.0.0.1:0\"]\n";
  EXPECT_EQ(valid(text).plugins.at("a").listeners.at("listen").size(), 4U);
}

TEST(Config, LaterFilesWinPerKey) {
  const ConfigFolder folder;
  const auto file = folder.write(
      "gatehouse.toml", "[log]\nlevel = \"warn\"\nformat = \"json\"\n[plugin.a]\nlisten = [\"127.0.0.1:1\"]\n");
  folder.write("gatehouse.d/20-b.toml", "[log]\nlevel = \"trace\"\n[plugin.a]\nenabled = false\n");
  folder.write("gatehouse.d/10-a.toml", "log.level = \"error\"\nplugin.a.listen = [\"127.0.0.1:2\"]\n");
  folder.write("gatehouse.d/30-c.toml.bak", "nonsense");
  const ConfigReading reading = read_config(file, {});
  ASSERT_TRUE(reading.config.has_value()) << reading.problems.front().to_string();
  EXPECT_EQ(reading.config->log_level, "trace");
  EXPECT_EQ(reading.config->log_format, "json");
  EXPECT_FALSE(reading.config->plugins.at("a").enabled);
  ASSERT_EQ(reading.config->plugins.at("a").listeners.at("listen").size(), 1U);
  EXPECT_EQ(reading.config->plugins.at("a").listeners.at("listen")[0].text, "127.0.0.1:2");
}

TEST(Config, ProblemInADropInNamesItsFile) {
  const ConfigFolder folder;
  const auto file = folder.write("gatehouse.toml", "[log]\nlevel = 1\n");
  const auto other = folder.write("gatehouse.d/a.toml", "[log]\nformat = 2\n");
  const ConfigReading reading = read_config(file, {});
  ASSERT_EQ(reading.problems.size(), 2U);
  EXPECT_EQ(reading.problems[0].place.file, file.string());
  EXPECT_EQ(reading.problems[1].place.file, other.string());
  EXPECT_EQ(reading.problems[1].place.line, 2U);
}

TEST(Override, TakesTomlAndBareWords) {
  const Config config = valid("[log]\nlevel = \"warn\"\n",
                              {"log.level=debug", "metrics.listen=127.0.0.1:1", "plugin.a.listen=[\"127.0.0.1:2\"]",
                               "plugin.a.lanes=3", "gateway.state_dir=/tmp/x", "plugin.\"a\".enabled=false"});
  EXPECT_EQ(config.log_level, "debug");
  EXPECT_EQ(config.metrics_listen, "127.0.0.1:1");
  EXPECT_EQ(config.state_dir, "/tmp/x");
  EXPECT_EQ(config.plugins.at("a").lanes, 3U);
  EXPECT_FALSE(config.plugins.at("a").enabled);
  EXPECT_EQ(config.plugins.at("a").listeners.at("listen")[0].text, "127.0.0.1:2");
}

TEST(Override, EmptyValueIsAnEmptyString) { EXPECT_EQ(valid("", {"metrics.listen="}).metrics_listen, ""); }

TEST(Override, MistakesNameTheArgument) {
  EXPECT_THAT(problems_of("", {"log.level"}),
              ElementsAre("--set log.level: must be KEY=VALUE with a dotted key, such as log.level=debug"));
  EXPECT_THAT(problems_of("", {"log level=debug"}),
              ElementsAre("--set log level=debug: must be KEY=VALUE with a dotted key, such as log.level=debug"));
  EXPECT_THAT(problems_of("", {"log.levl=debug"}),
              ElementsAre("--set log.levl=debug: unknown key `log.levl`; did you mean `log.level`?"));
  EXPECT_THAT(problems_of("", {"gateway.plugin_dirs=[\"/a\""}),
              ElementsAre(testing::StartsWith("--set gateway.plugin_dirs=[\"/a\": the value is not TOML: error")));
  EXPECT_THAT(problems_of("", {"log.level=1\nlog.format=2"}),
              ElementsAre(testing::EndsWith("one --set takes one value; repeat --set for another key")));
}

TEST(NearestName, FindsTypingMistakesAndNothingFar) {
  const std::vector<std::string> known = {"listen", "lanes", "enabled"};
  EXPECT_EQ(nearest_name("lisetn", known), "listen");
  EXPECT_EQ(nearest_name("lane", known), "lanes");
  EXPECT_EQ(nearest_name("enable", known), "enabled");
  EXPECT_EQ(nearest_name("colour", known), "");
  EXPECT_EQ(nearest_name("", known), "");
}

TEST(Config, MetricsHostsAreNamesWithoutAPort) {
  EXPECT_EQ(valid("[metrics]\nhosts = [\"gateway.example\"]\n").metrics_hosts,
            std::vector<std::string>{"gateway.example"});
  for (const char* const wrong : {"", "gateway.example:9477", "http://gateway.example", "*"}) {
    const auto found = problems_of(std::string("[metrics]\nhosts = [\"") + wrong + "\"]\n");
    ASSERT_EQ(found.size(), 1U) << wrong;
    EXPECT_THAT(found[0], testing::HasSubstr("a list of names such as \"gateway.example\", without a port"));
  }
}

TEST(Config, IsObeyedOnlyWhereNobodyElseMayWriteIt) {
  const ConfigFolder folder;
  const auto file = folder.write("gatehouse.toml", "");
  std::filesystem::create_directory(folder.path() / "gatehouse.d");
  const auto drop_in = folder.write("gatehouse.d/1.toml", "");
  EXPECT_TRUE(read_own_config(file, {}).config);
  for (const auto& shared :
       {std::filesystem::path(file), folder.path() / "gatehouse.d", std::filesystem::path(drop_in), folder.path()}) {
    const auto before = std::filesystem::status(shared).permissions();
    std::filesystem::permissions(shared, std::filesystem::perms::others_write, std::filesystem::perm_options::add);
    const ConfigReading reading = read_own_config(file, {});
    EXPECT_FALSE(reading.config);
    ASSERT_FALSE(reading.problems.empty());
    EXPECT_EQ(reading.problems.front().to_string(),
              shared.string() + " may be written by everybody: run `chmod o-w " + shared.string() + "`");
    std::filesystem::permissions(shared, before);
  }
}

}  // namespace
}  // namespace gatehouse
