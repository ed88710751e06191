// Finds, checks and loads a plugin's file, and reads its manifest. Control thread (or a CLI program).
#pragma once

#include <gatehouse/abi.h>

#include "gateway/config/config.hpp"
#include "gateway/plugin/trust.hpp"

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse {

/// A plugin whose code is mapped. The code stays for as long as the process lives, so that the manifest's pointers
/// are always good and a thread's destructors never point to nothing.
struct LoadedPlugin {
  TrustedFile file;
  const gh_manifest* manifest = nullptr;
  /// What it offers without an instance; null where it does not, or what it offers cannot be called.
  const gh_probe* probe = nullptr;
  const gh_sessions_describe* describer = nullptr;

  /// One of the manifest's role_count roles.
  [[nodiscard]] const gh_listener_role& role(std::size_t index) const noexcept;
  /// Does the manifest name `role`? Null when it does not.
  [[nodiscard]] const gh_listener_role* find_role(std::string_view role) const noexcept;
  /// What the two words of a session of this plugin mean (gh.sessions.describe/1); "" where the plugin does not say.
  /// Calls it: not on the control thread.
  [[nodiscard]] std::string describe(const std::array<std::uint64_t, 2>& state) const;
  /// Names of a session's counts, from the first on; they live as long as the process.
  [[nodiscard]] std::vector<std::string_view> count_names() const;
};

/// Files whose `get`, asked when they were loaded, has not returned: a thread each. Such a file is refused, and not
/// asked again, until that call returns.
[[nodiscard]] unsigned abandoned_offers() noexcept;

/// Where the plugin `name` lies: its configured path, or NAME.so in the first of `plugin_dirs` that has one.
/// @throws Refusal that says where it looked
[[nodiscard]] std::filesystem::path find_plugin(const Config& config, const std::string& name);

/// Every plugin file that can be found: NAME of each NAME.so in `plugin_dirs`, and each configured plugin. Sorted.
[[nodiscard]] std::vector<std::string> known_plugins(const Config& config);

/// Where the private copies go: runtime_dir/plugins; on a system that forbids to run code from there (Debian mounts
/// /run with noexec), state_dir/plugins.
[[nodiscard]] std::filesystem::path plugin_copies(const Config& config);

/// Checks `file` (trust.hpp, elf_check.hpp), loads the copy and goes through the handshake: symbol, magic, manifest
/// size, ABI major, ABI minor, and that each interface it requires is one of `offered`.
/// @throws Refusal, with its own sentence for each step
[[nodiscard]] LoadedPlugin load_plugin(const std::filesystem::path& file, const std::filesystem::path& copies,
                                       const std::vector<std::string_view>& offered);
/// The same of a copy that is there already.
[[nodiscard]] LoadedPlugin load_plugin(TrustedFile file, const std::vector<std::string_view>& offered);

/// The last step of the handshake, which needs the configuration: are its listeners ones that the manifest declares,
/// and are its options valid by the manifest's schema?
struct AcceptedPlugin {
  PluginConfig config;  ///< with the listeners and the opening that a role has by itself
  std::string options;  ///< a JSON object, complete with defaults
  std::vector<ConfigProblem> problems;
};
[[nodiscard]] AcceptedPlugin accept_configuration(const Config& config, const PluginConfig& plugin,
                                                  const LoadedPlugin& loaded);

}  // namespace gatehouse
