// The gateway's configuration as values: gatehouse.toml, gatehouse.d/*.toml and --set, merged.
#pragma once

#include "db/store/store.hpp"
#include "gateway/store/store_status.hpp"

#include <gatehouse/base/address.hpp>
#include <gatehouse/base/prefix.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse {

/// A place in a configuration file, or a --set argument (then `line` is 0); `file` is "" for what has no place.
struct ConfigPlace {
  std::string file;
  std::uint32_t line = 0, column = 0;  ///< from 1
};

/// Something wrong with the configuration, as one sentence that says what to do.
struct ConfigProblem {
  ConfigPlace place;
  std::string sentence;
  /// "gatehouse.toml:12:3: unknown key `plugn`; did you mean `plugin`?"
  [[nodiscard]] std::string to_string() const;
};

/// `[tls]`: what a listener's TLS shows and accepts, as files; a listener's own `tls` overrides it key by key.
struct TlsConfig {
  std::filesystem::path certificate;  ///< PEM, the leaf first; absolute, or "" = none
  std::filesystem::path key;          ///< PEM; the same
  std::filesystem::path client_ca;    ///< PEM: whose certificates clients may show; "" = none are asked for
  std::vector<std::string> alpn;      ///< the preferred name first
  bool takes_tls12 = false;           ///< minimum = "1.2"
  bool ktls = true;                   ///< "auto"
  friend bool operator==(const TlsConfig&, const TlsConfig&) = default;
};

/// What a client must show, any one of these; all false: nothing.
struct ClientAuth {
  bool token = false, certificate = false, user = false;
  [[nodiscard]] bool any() const noexcept { return token || certificate || user; }
  friend bool operator==(const ClientAuth&, const ClientAuth&) = default;
};

/// One address of a listener role.
struct ListenAddress {
  enum class Kind { tcp, udp, unix_stream };
  Kind kind = Kind::tcp;
  std::string text;            ///< as configured: "127.0.0.1:7300", "udp:[::]:7500", "unix:/run/x.sock"
  Endpoint endpoint;           ///< tcp and udp
  std::filesystem::path path;  ///< unix_stream
  std::optional<TlsConfig> tls;
  ClientAuth auth;
  bool http_opening = false;    ///< opening = "http", or a role that has no other
  bool proxy_protocol = false;  ///< each stream begins with a PROXY header
  /// Whose PROXY header or X-Forwarded-For is believed; with proxy_protocol on a Unix socket empty, for its mode says.
  std::vector<Prefix> trusted_proxies;
  std::vector<std::string> origins;  ///< of pages that may ask with http_opening, as browsers send them
  std::string identity;              ///< given to every client, or ""
  std::uint32_t mode = 0660;         ///< permissions of a Unix socket
  std::string group;                 ///< owning group of a Unix socket, or ""
  ConfigPlace place;
};

struct PluginConfig {
  std::string name;
  bool enabled = true;
  std::filesystem::path path;  ///< absolute, or "" = look for NAME.so in plugin_dirs
  unsigned lanes = 0;          ///< 0 = auto: one a core
  bool pin_lanes = false;      ///< lane i runs on processor i
  bool allow_local_destinations = false;
  std::uint64_t memory_bytes = 256 * 1024 * 1024;               ///< what may wait for all of its clients together
  std::map<std::string, std::vector<ListenAddress>> listeners;  ///< by role: `listen` and every listen_*
  ConfigPlace place;
};

/// `[store]`: what survives the process, and where.
struct StoreConfig {
  std::string url = "sqlite:/var/lib/gatehouse/state.db";  ///< or "memory:"
  OnStoreFailure on_failure = OnStoreFailure::serve;
  db::Retention retention;
  /// The file of `url`; "" with "memory:". secrets.db stands beside it.
  [[nodiscard]] std::filesystem::path state_db() const;
};

class ConfigTree;  // the parsed documents with their positions; see config_tree.hpp

/// A valid configuration, but for the plugins' own options, which only their schemas can judge.
struct Config {
  std::filesystem::path state_dir = "/var/lib/gatehouse";
  std::filesystem::path runtime_dir = "/run/gatehouse";
  std::vector<std::filesystem::path> plugin_dirs = {"/usr/lib/gatehouse/plugins"};
  std::chrono::seconds lane_timeout{10};  ///< how long a lane or a call of a plugin may be silent
  std::vector<Prefix> nat64_prefixes;     ///< for each of which policy::is_nat64_prefix() holds
  std::string log_level = "info";
  std::string log_format = "text";
  std::filesystem::path flow_log;  ///< a file for one line a verdict, or "" = none
  StoreConfig store;
  TlsConfig tls;
  std::string metrics_listen = "127.0.0.1:9477";  ///< "" = none
  std::vector<std::string> metrics_hosts;         ///< names of this machine, beside localhost and its addresses
  std::vector<std::string> control_admins = {"root"};
  std::uint32_t control_mode = 0660;
  std::map<std::string, PluginConfig> plugins;
  std::shared_ptr<const ConfigTree> tree;
};

/// What a reading came to: `config` is there when `problems` is empty.
struct ConfigReading {
  std::optional<Config> config;
  std::vector<ConfigProblem> problems;
};

/// Reads `file` and then `<stem>.d/*.toml` beside it, sorted, later wins per key; then `overrides`, each
/// "dotted.key=TOML value" (a bare word is taken as a string). Reports every problem it finds, not only the first.
[[nodiscard]] ConfigReading read_config(const std::filesystem::path& file, const std::vector<std::string>& overrides);

/// The same for who obeys it: each file that is there must be its own (gatehouse/base/own_path.hpp), with all folders
/// above, for whoever else may write there would run the gateway.
[[nodiscard]] ConfigReading read_own_config(const std::filesystem::path& file,
                                            const std::vector<std::string>& overrides);

/// The folder of drop-in files beside a configuration file: /etc/gatehouse/gatehouse.d.
[[nodiscard]] std::filesystem::path drop_in_folder(const std::filesystem::path& file);

/// A plugin's options as a JSON object, complete with the schema's defaults.
struct OptionsReading {
  std::string json;
  std::vector<ConfigProblem> problems;
};

/// Holds `[plugin.NAME.options]` against the manifest's schema (abi.h, gh_manifest.options_schema).
[[nodiscard]] OptionsReading read_options(const Config& config, const std::string& plugin,
                                          const std::string& options_schema);

/// The known name that `name` was probably meant to be, by edit distance, or "" when none is near.
[[nodiscard]] std::string nearest_name(std::string_view name, const std::vector<std::string>& known);

}  // namespace gatehouse
