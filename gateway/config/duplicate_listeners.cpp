#include "gateway/config/duplicate_listeners.hpp"

#include "gateway/config/control_socket.hpp"

#include <map>

namespace gatehouse {
namespace {

std::string bound_to(const std::filesystem::path& socket) { return "unix:" + socket.lexically_normal().string(); }

std::string bound_to(const ListenAddress& address) {
  switch (address.kind) {
    case ListenAddress::Kind::unix_stream: return bound_to(address.path);
    case ListenAddress::Kind::udp: return "udp:" + address.endpoint.to_string();
    case ListenAddress::Kind::tcp: break;
  }
  return address.endpoint.to_string();
}

/// What the gateway has itself, and whose it is.
std::map<std::string, std::string> own_addresses(const Config& config) {
  std::map<std::string, std::string> out = {{bound_to(control_socket(config)), "the gateway's control socket"}};
  if (const auto metrics = Endpoint::parse(config.metrics_listen); metrics && metrics->port != 0)
    out.emplace(metrics->to_string(), "`metrics.listen`");
  return out;
}

}  // namespace

std::vector<ConfigProblem> duplicate_listeners(const Config& config) {
  std::vector<ConfigProblem> out;
  std::map<std::string, std::string> takers = own_addresses(config);
  for (const auto& [name, plugin] : config.plugins) {
    if (!plugin.enabled) continue;
    for (const auto& [role, addresses] : plugin.listeners) {
      for (const ListenAddress& address : addresses) {
        const bool is_any = address.kind != ListenAddress::Kind::unix_stream && address.endpoint.port == 0;
        if (is_any) continue;  // never taken
        const std::string taker = "`plugin." + name + '.' + role + '`';
        const auto [first, is_new] = takers.emplace(bound_to(address), taker);
        if (is_new) continue;
        out.push_back({address.place, "`" + address.text + "` in " + taker + " is taken by " + first->second +
                                          " already; give each listener its own address"});
      }
    }
  }
  return out;
}

}  // namespace gatehouse
