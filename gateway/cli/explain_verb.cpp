// `gatehouse policy explain`: the question with what the configuration knows, as a running gateway would judge it.
#include "db/policy/policy_copy.hpp"
#include "gateway/cli/verbs.hpp"
#include "gateway/policy/own_addresses.hpp"

#include <gatehouse/abi.h>

#include <iostream>

namespace gatehouse {
namespace {

std::vector<policy::OwnListener> configured_listeners(const Config& config) {
  std::vector<policy::OwnListener> out;
  for (const auto& [name, plugin] : config.plugins) {
    if (!plugin.enabled) continue;
    for (const auto& [role, addresses] : plugin.listeners) {
      for (const ListenAddress& address : addresses) {
        if (address.kind == ListenAddress::Kind::unix_stream) continue;
        const bool datagram = address.kind == ListenAddress::Kind::udp;
        out.push_back({address.endpoint, static_cast<std::uint32_t>(datagram ? GH_TRANSPORT_UDP : GH_TRANSPORT_TCP)});
      }
    }
  }
  return out;
}

}  // namespace

int explain_verb(const Invocation& invocation, PolicyQuestion question) {
  const Config config = load_config_or_defaults(invocation);
  if (question.database.empty()) {
    question.database = config.state_dir / "policy.db";
    question.last_good = db::last_good_path(question.database);
    const auto& socket = invocation.socket;
    if (question.at.empty()) question.socket = socket.empty() ? config.runtime_dir / "control.sock" : socket;
  }
  question.lists = config.state_dir / "lists";
  if (const auto plugin = config.plugins.find(question.plugin); plugin != config.plugins.end()) {
    question.allow_local = plugin->second.allow_local_destinations;
  }
  AddressSet here = read_own_addresses();
  question.surroundings =
      policy::Surroundings{std::move(here.own), std::move(here.broadcast), configured_listeners(config), {}};
  return policy_explain(question, std::cout, invocation.json);
}

}  // namespace gatehouse
