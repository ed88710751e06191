#include "gateway/cli/plugin/plugin_shelf.hpp"

#include "gateway/base/refusal.hpp"
#include "gateway/services/host_services.hpp"

#include <gatehouse/base/error.hpp>

#include <sys/statvfs.h>

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

namespace gatehouse {
namespace {

/// Where code may be run from: the system's temporary folder, unless it is mounted noexec.
std::filesystem::path scratch_parent(const Config& config) {
  const std::filesystem::path temporary = std::filesystem::temp_directory_path();
  struct statvfs about {};
  const bool good = ::statvfs(temporary.c_str(), &about) == 0 && (about.f_flag & ST_NOEXEC) == 0;
  return good ? temporary : config.state_dir;
}

}  // namespace

PluginShelf::PluginShelf(Config config) : config_(std::move(config)) {
  std::string name = (scratch_parent(config_) / "gatehouse-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) {
    throw std::runtime_error("cannot make the folder " + name + " (" + last_system_error().message() +
                             "); set TMPDIR to one that you may write");
  }
  config_.runtime_dir = config_.state_dir = name;
}

PluginShelf::~PluginShelf() {
  std::error_code ignored;
  std::filesystem::remove_all(config_.runtime_dir, ignored);
}

LoadedPlugin PluginShelf::load(const std::string& plugin) const {
  return load_plugin(find_plugin(config_, plugin), plugin_copies(config_), offered_interfaces());
}

void require_known_plugin(const Config& config, const std::string& plugin) {
  const std::vector<std::string> known = known_plugins(config);
  if (std::find(known.begin(), known.end(), plugin) != known.end()) return;
  const std::string nearest = nearest_name(plugin, known);
  throw Refusal("there is no plugin " + plugin + " in the configuration or in gateway.plugin_dirs" +
                (nearest.empty() ? "" : "; did you mean `" + nearest + "`?"));
}

}  // namespace gatehouse
