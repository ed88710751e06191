// Plugin files for verbs that look at one or run its probe, with the daemon's own checks, but without its folders: a
// user without rights on gateway.runtime_dir can use them too.
#pragma once

#include "gateway/plugin/loader.hpp"

#include <filesystem>
#include <string>

namespace gatehouse {

/// Keeps the private copies in a folder of its own, which it removes. One thread.
class PluginShelf {
 public:
  /// @throws std::runtime_error  no folder can be made
  explicit PluginShelf(Config config);
  ~PluginShelf();
  PluginShelf(const PluginShelf&) = delete;
  PluginShelf& operator=(const PluginShelf&) = delete;

  /// The configuration with this shelf's folder in place of the gateway's: what is loaded by it comes here too.
  [[nodiscard]] const Config& config() const noexcept { return config_; }

  /// Finds, checks and loads. The code stays mapped until the program ends.
  /// @throws Refusal
  [[nodiscard]] LoadedPlugin load(const std::string& plugin) const;

 private:
  Config config_;
};

/// @throws Refusal that names the nearest known plugin: neither configured nor in one of the plugin folders
void require_known_plugin(const Config& config, const std::string& plugin);

}  // namespace gatehouse
