#include "plugins/geneve-relay/server/settings.hpp"

#include "plugins/geneve-relay/wire/endpoint_message.hpp"

#include <gatehouse/plugin/plugin.hpp>

#include <stdexcept>

namespace gatehouse::geneve_relay {
namespace {

std::vector<Endpoint> endpoints_of(const Options& options, const std::string& name) {
  std::vector<Endpoint> out;
  for (const std::string& text : options.texts(name)) {
    const auto endpoint = Endpoint::parse(text);
    if (!endpoint || endpoint->port == 0 || endpoint->address.is_unspecified() || endpoint->address.is_multicast())
      throw std::invalid_argument(name + ": `" + text +
                                  "` is no address with a port, such as 192.0.2.1:7500 or [2001:db8::1]:7500");
    out.push_back(*endpoint);
  }
  return out;
}

Gso gso_of(const std::string& text) {
  return text == "off" ? Gso::off : text == "never-equal-tail" ? Gso::never_equal_tail : Gso::automatic;
}

}  // namespace

RelaySettings::RelaySettings(const Options& options)
    : advertise(endpoints_of(options, "advertise")),
      stun_servers(endpoints_of(options, "stun_servers")),
      bind_lifetime(std::chrono::seconds(options.integer("bind_lifetime_seconds"))),
      steady_lifetime(std::chrono::seconds(options.integer("steady_lifetime_seconds"))),
      most_endpoints(static_cast<std::size_t>(options.integer("most_endpoints"))),
      handshakes_of_source(static_cast<std::uint64_t>(options.integer("handshakes_per_second_of_a_source"))),
      handshakes_of_lane(static_cast<std::uint64_t>(options.integer("handshakes_per_second_of_a_lane"))),
      gso(gso_of(options.text("gso"))),
      uses_kernel(options.text("fast_path") == "xdp") {
  if (advertise.size() > AddressList::kMost)
    throw std::invalid_argument("advertise: an endpoint has room for " + std::to_string(AddressList::kMost) +
                                " addresses, and these are " + std::to_string(advertise.size()));
}

void RelaySettings::check_change(const RelaySettings& from) const {
  if (uses_kernel != from.uses_kernel)
    throw NeedsRestart("fast_path changes by a restart only: the kernel's part is loaded at the start");
  if (gso != from.gso) throw NeedsRestart("gso changes by a restart only: the sockets are made with it");
}

}  // namespace gatehouse::geneve_relay
