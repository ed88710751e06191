#include "gateway/plugin/default_listeners.hpp"

#include <sys/socket.h>
#include <sys/un.h>

namespace gatehouse {
namespace {

constexpr std::string_view kUnix = "unix:";
constexpr std::size_t kLongestSocketPath = sizeof(sockaddr_un::sun_path) - 1;

/// "-api" of `listen_api`, "" of `listen`.
std::string suffix_of(std::string_view role) {
  constexpr std::string_view kBefore = "listen_";
  return role.starts_with(kBefore) ? '-' + std::string(role.substr(kBefore.size())) : "";
}

/// In a runtime folder that is too far down.
std::string too_long(const std::string& plugin, const std::string& role, const std::string& address) {
  return "the plugin " + plugin + " would listen on `" + address + "`, whose path has more than " +
         std::to_string(kLongestSocketPath) + " bytes, which no Unix socket can have: set a shorter " +
         "`gateway.runtime_dir`, or `" + role + " = []` in [plugin." + plugin + "] for none";
}

}  // namespace

std::string default_address(const std::filesystem::path& runtime_dir, const std::string& plugin,
                            const gh_listener_role& role) {
  if ((role.kinds & GH_ROLE_LOCAL) == 0 || (role.kinds & GH_ROLE_STREAM) == 0) return "";
  return std::string(kUnix) + (runtime_dir / (plugin + suffix_of(role.name) + ".sock")).string();
}

std::vector<ConfigProblem> add_default_listeners(PluginConfig& plugin, const LoadedPlugin& loaded,
                                                 const std::filesystem::path& runtime_dir) {
  std::vector<ConfigProblem> problems;
  for (std::size_t i = 0; i < loaded.manifest->role_count; ++i) {
    const gh_listener_role& role = loaded.role(i);
    ListenAddress address;
    address.text = default_address(runtime_dir, plugin.name, role);
    if (address.text.empty() || plugin.listeners.contains(role.name)) continue;
    address.kind = ListenAddress::Kind::unix_stream;
    address.path = address.text.substr(kUnix.size());
    if (address.path.native().size() > kLongestSocketPath) {
      problems.push_back({plugin.place, too_long(plugin.name, role.name, address.text)});
      continue;
    }
    address.place = plugin.place;
    plugin.listeners[role.name] = {std::move(address)};
  }
  return problems;
}

}  // namespace gatehouse
