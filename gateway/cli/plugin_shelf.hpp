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
  explicit PluginShelf(const Config& config);
  ~PluginShelf();
  PluginShelf(const PluginShelf&) = delete;
  PluginShelf& operator=(const PluginShelf&) = delete;

  /// Finds, checks and loads. The code stays mapped until the program ends.
  /// @throws Refusal
  [[nodiscard]] LoadedPlugin load(const std::string& plugin) const;

 private:
  const Config& config_;
  std::filesystem::path copies_;
};

}  // namespace gatehouse
