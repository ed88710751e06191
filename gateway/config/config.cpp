// What the keys of gatehouse.toml mean: files and overrides are merged into one tree, then read from the top.
#include "gateway/config/config.hpp"

#include <gatehouse/base/own_path.hpp>

#include "gateway/config/config_tree.hpp"
#include "gateway/config/duplicate_listeners.hpp"
#include "gateway/config/listen_address.hpp"
#include "gateway/config/table_reader.hpp"
#include "gateway/config/tls_config.hpp"
#include "policy/match/nat64_prefixes.hpp"

#include <algorithm>

namespace gatehouse {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMostLanes = 256;
constexpr std::int64_t kLongestLaneTimeout = 3600;  // seconds
constexpr std::size_t kLongestPluginName = 64;
constexpr std::string_view kSqlite = "sqlite:";
constexpr std::string_view kMemory = "memory:";
constexpr std::int64_t kMostDays = 36'500;
constexpr std::int64_t kLeastStoreBytes = 1 << 20;

/// The drop-in files of gatehouse.toml: gatehouse.d/*.toml, sorted by name.
std::vector<std::filesystem::path> drop_ins(const std::filesystem::path& file, std::vector<ConfigProblem>& problems) {
  const std::filesystem::path folder = drop_in_folder(file);
  std::vector<std::filesystem::path> out;
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() == ".toml") out.push_back(it->path());
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    problems.push_back({{folder.string(), 0, 0}, "cannot be read (" + error.message() + "); mend its permissions"});
  }
  std::sort(out.begin(), out.end());
  return out;
}

void read_nat64_prefixes(TableReader& reader, Config& config) {
  const std::string key = "nat64_prefixes";
  const ConfigValue* const value = reader.take(key);
  if (value == nullptr) return;
  const std::string wanted =
      "an array of IPv6 prefixes of 32, 40, 48, 56, 64 or 96 bits that a translator (RFC 6052) embeds IPv4 addresses "
      "in, such as [\"2001:db8:64::/96\"]";
  if (value->kind != ConfigValue::Kind::array) return reader.refuse(*value, key, wanted);
  for (const ConfigValue& item : value->children) {
    const auto prefix = Prefix::parse(item.text);
    if (item.kind != ConfigValue::Kind::string || !prefix || !policy::is_nat64_prefix(*prefix))
      reader.refuse(item, key, wanted);
    else
      config.nat64_prefixes.push_back(*prefix);
  }
}

void read_gateway(const ConfigValue* table, Config& config, std::vector<ConfigProblem>& problems) {
  TableReader reader(table, "gateway", problems);
  reader.read("state_dir", config.state_dir);
  reader.read("runtime_dir", config.runtime_dir);
  reader.read("plugin_dirs", config.plugin_dirs);
  std::int64_t lane_timeout = config.lane_timeout.count();
  reader.read("lane_timeout_seconds", lane_timeout, 1, kLongestLaneTimeout);
  config.lane_timeout = std::chrono::seconds(lane_timeout);
  read_nat64_prefixes(reader, config);
  reader.refuse_unknown_keys();
}

void read_log(const ConfigValue* table, Config& config, std::vector<ConfigProblem>& problems) {
  TableReader reader(table, "log", problems);
  reader.read("level", config.log_level, {"error", "warn", "info", "debug", "trace"});
  reader.read("format", config.log_format, {"text", "json"});
  std::string flow_log;
  reader.read("flow_log", flow_log);
  config.flow_log = flow_log;
  if (!flow_log.empty() && !config.flow_log.is_absolute()) {
    reader.refuse(*table->find("flow_log"), "flow_log", "an absolute path, or \"\" for no flow log");
  }
  reader.refuse_unknown_keys();
}

bool is_store_url(const std::string& url) {
  if (url == kMemory) return true;
  const fs::path file = url.substr(std::min(url.size(), kSqlite.size()));
  return url.rfind(kSqlite, 0) == 0 && file.is_absolute() && file.has_filename();
}

/// Read after [gateway]: its state_dir is where state.db is, unless `url` names another place.
void read_store(const ConfigValue* table, Config& config, std::vector<ConfigProblem>& problems) {
  TableReader reader(table, "store", problems);
  StoreConfig& store = config.store;
  store.url = std::string(kSqlite) + (config.state_dir / "state.db").string();
  reader.read("url", store.url);
  if (!is_store_url(store.url)) {
    reader.refuse(*table->find("url"), "url", "\"sqlite:\" and an absolute path to a file, or \"memory:\"");
  }
  std::string on_failure(to_text(store.on_failure));
  reader.read("on_store_failure", on_failure, {"serve", "no_new", "stop"});
  for (const auto choice : {OnStoreFailure::serve, OnStoreFailure::no_new, OnStoreFailure::stop}) {
    if (on_failure == to_text(choice)) store.on_failure = choice;
  }
  reader.read("retention_days", store.retention.days, 1, kMostDays);
  auto most_bytes = static_cast<std::int64_t>(store.retention.most_bytes);
  reader.read("max_bytes", most_bytes, kLeastStoreBytes, INT64_MAX);
  store.retention.most_bytes = static_cast<std::uint64_t>(most_bytes);
  reader.refuse_unknown_keys();
}

/// Read before [plugin]: what its listeners have unless they say otherwise.
void read_tls(const ConfigValue* table, Config& config, std::vector<ConfigProblem>& problems) {
  TableReader reader(table, "tls", problems);
  read_tls_keys(reader, config.tls);
  reader.refuse_unknown_keys();
}

void read_metrics(const ConfigValue* table, Config& config, std::vector<ConfigProblem>& problems) {
  TableReader reader(table, "metrics", problems);
  reader.read("listen", config.metrics_listen);
  if (!config.metrics_listen.empty() && !Endpoint::parse(config.metrics_listen)) {
    reader.refuse(*table->find("listen"), "listen",
                  "an address with a port such as \"127.0.0.1:9477\", or \"\" for none");
  }
  reader.read("hosts", config.metrics_hosts);
  for (const std::string& host : config.metrics_hosts) {
    if (!host.empty() && host.find_first_of(":/ *") == host.npos) continue;
    reader.refuse(*table->find("hosts"), "hosts", "a list of names such as \"gateway.example\", without a port");
    break;
  }
  reader.refuse_unknown_keys();
}

void read_control(const ConfigValue* table, Config& config, std::vector<ConfigProblem>& problems) {
  TableReader reader(table, "control", problems);
  reader.read("admins", config.control_admins);
  if (const ConfigValue* mode = reader.take("mode")) {
    config.control_mode = read_mode(*mode, "control.mode", problems).value_or(config.control_mode);
  }
  reader.refuse_unknown_keys();
}

void read_lanes(TableReader& reader, PluginConfig& plugin) {
  const ConfigValue* lanes = reader.take("lanes");
  if (lanes == nullptr || (lanes->kind == ConfigValue::Kind::string && lanes->text == "auto")) return;
  if (lanes->kind != ConfigValue::Kind::integer || lanes->integer < 1 || lanes->integer > kMostLanes) {
    return reader.refuse(*lanes, "lanes", "\"auto\" or a number from 1 to " + std::to_string(kMostLanes));
  }
  plugin.lanes = static_cast<unsigned>(lanes->integer);
}

void read_listeners(const ConfigValue& list, const std::string& path, const TlsConfig& tls,
                    std::vector<ListenAddress>& out, std::vector<ConfigProblem>& problems) {
  if (list.kind != ConfigValue::Kind::array) {  // one listener needs no brackets
    if (auto one = read_listen_address(list, path, tls, problems)) out.push_back(std::move(*one));
    return;
  }
  for (const ConfigValue& item : list.children) {
    if (auto one = read_listen_address(item, path, tls, problems)) out.push_back(std::move(*one));
  }
}

bool is_plugin_name(const std::string& name) {
  return !name.empty() && name.size() <= kLongestPluginName && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

void read_memory(TableReader& reader, PluginConfig& plugin) {
  constexpr std::int64_t kLeast = 1024 * 1024, kMost = std::int64_t{1} << 40;
  auto bytes = static_cast<std::int64_t>(plugin.memory_bytes);
  reader.read("memory_bytes", bytes, kLeast, kMost);
  plugin.memory_bytes = static_cast<std::uint64_t>(bytes);
}

void read_plugin(const ConfigValue& table, Config& config, std::vector<ConfigProblem>& problems) {
  if (!is_plugin_name(table.key)) {
    problems.push_back({table.key_place, "plugin name `" + table.key + "` must be made of a-z, 0-9 and -, at most " +
                                             std::to_string(kLongestPluginName) + " of them"});
    return;
  }
  const std::string path = "plugin." + table.key;
  if (table.kind != ConfigValue::Kind::table) {
    problems.push_back({table.place, "`" + path + "` must be a table, not " + table.describe()});
    return;
  }
  PluginConfig plugin;
  plugin.name = table.key;
  plugin.place = table.key_place;
  TableReader reader(&table, path, problems);
  reader.read("enabled", plugin.enabled);
  reader.read("path", plugin.path);
  read_lanes(reader, plugin);
  reader.read("pin_lanes", plugin.pin_lanes);
  reader.read("allow_local_destinations", plugin.allow_local_destinations);
  read_memory(reader, plugin);
  reader.table("options");
  reader.take("listen");
  for (const ConfigValue& member : table.children) {
    if (member.key != "listen" && member.key.rfind("listen_", 0) != 0) continue;
    reader.take(member.key);
    read_listeners(member, reader.path_of(member.key), config.tls, plugin.listeners[member.key], problems);
  }
  reader.refuse_unknown_keys();
  config.plugins.emplace(plugin.name, std::move(plugin));
}

/// By file in the order of reading, then by line and column.
void sort_by_place(std::vector<ConfigProblem>& problems, const std::vector<std::string>& files) {
  const auto rank = [&](const ConfigProblem& problem) {
    const auto file = std::find(files.begin(), files.end(), problem.place.file) - files.begin();
    return std::tuple(file, problem.place.line, problem.place.column);
  };
  std::stable_sort(problems.begin(), problems.end(),
                   [&](const ConfigProblem& a, const ConfigProblem& b) { return rank(a) < rank(b); });
}

}  // namespace

std::string ConfigProblem::to_string() const {
  if (place.file.empty()) return sentence;
  std::string out = place.file;
  if (place.line != 0) out += ':' + std::to_string(place.line) + ':' + std::to_string(place.column);
  return out + ": " + sentence;
}

fs::path StoreConfig::state_db() const { return url == kMemory ? "" : url.substr(kSqlite.size()); }

std::filesystem::path drop_in_folder(const std::filesystem::path& file) {
  return std::filesystem::path(file).replace_extension(".d");
}

ConfigReading read_own_config(const fs::path& file, const std::vector<std::string>& overrides) {
  std::vector<ConfigProblem> problems;
  std::vector<fs::path> documents = drop_ins(file, problems);
  documents.insert(documents.begin(), {file, drop_in_folder(file)});
  problems.clear();  // reading reports these
  for (const fs::path& document : documents) {
    if (const std::string why = why_not_own(document); !why.empty()) problems.push_back({{}, why});
  }
  if (problems.empty()) return read_config(file, overrides);
  return {{}, std::move(problems)};
}

ConfigReading read_config(const std::filesystem::path& file, const std::vector<std::string>& overrides) {
  ConfigReading out;
  const auto tree = std::make_shared<ConfigTree>();
  std::vector<std::filesystem::path> documents = drop_ins(file, out.problems);
  documents.insert(documents.begin(), file);
  std::vector<std::string> order;
  for (const auto& document : documents) {
    order.push_back(document.string());
    merge(tree->root, read_toml_file(document, out.problems));
  }
  for (const std::string& argument : overrides) merge(tree->root, read_override(argument, out.problems));

  Config config;
  TableReader reader(&tree->root, "", out.problems);
  read_gateway(reader.table("gateway"), config, out.problems);
  read_log(reader.table("log"), config, out.problems);
  read_store(reader.table("store"), config, out.problems);
  read_tls(reader.table("tls"), config, out.problems);
  read_metrics(reader.table("metrics"), config, out.problems);
  read_control(reader.table("control"), config, out.problems);
  if (const ConfigValue* plugins = reader.table("plugin")) {
    for (const ConfigValue& plugin : plugins->children) read_plugin(plugin, config, out.problems);
  }
  reader.refuse_unknown_keys();
  for (ConfigProblem& problem : duplicate_listeners(config)) out.problems.push_back(std::move(problem));

  sort_by_place(out.problems, order);
  config.tree = tree;
  if (out.problems.empty()) out.config = std::move(config);
  return out;
}

}  // namespace gatehouse
