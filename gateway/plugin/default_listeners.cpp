#include "gateway/plugin/default_listeners.hpp"

namespace gatehouse {
namespace {

constexpr std::string_view kUnix = "unix:";

/// "-api" of `listen_api`, "" of `listen`.
std::string suffix_of(std::string_view role) {
  constexpr std::string_view kBefore = "listen_";
  return role.starts_with(kBefore) ? '-' + std::string(role.substr(kBefore.size())) : "";
}

}  // namespace

std::string default_address(const std::filesystem::path& runtime_dir, const std::string& plugin,
                            const gh_listener_role& role) {
  if ((role.kinds & GH_ROLE_LOCAL) == 0 || (role.kinds & GH_ROLE_STREAM) == 0) return "";
  return std::string(kUnix) + (runtime_dir / (plugin + suffix_of(role.name) + ".sock")).string();
}

void add_default_listeners(PluginConfig& plugin, const LoadedPlugin& loaded, const std::filesystem::path& runtime_dir) {
  for (std::size_t i = 0; i < loaded.manifest->role_count; ++i) {
    const gh_listener_role& role = loaded.role(i);
    ListenAddress address;
    address.text = default_address(runtime_dir, plugin.name, role);
    if (address.text.empty() || plugin.listeners.contains(role.name)) continue;
    address.kind = ListenAddress::Kind::unix_stream;
    address.path = address.text.substr(kUnix.size());
    address.place = plugin.place;
    plugin.listeners[role.name] = {std::move(address)};
  }
}

}  // namespace gatehouse
