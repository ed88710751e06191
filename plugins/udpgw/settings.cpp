#include "plugins/udpgw/settings.hpp"

#include <stdexcept>

namespace gatehouse::udpgw {

UdpgwSettings::UdpgwSettings(const Options& options)
    : blocked_answer(options),
      resolver_timeout(std::chrono::milliseconds(options.integer("resolver_timeout_ms"))),
      stream_idle(std::chrono::seconds(options.integer("stream_idle_seconds"))),
      fin_grace(std::chrono::seconds(options.integer("fin_grace_seconds"))),
      client_buffer(static_cast<std::size_t>(options.integer("client_buffer_bytes"))),
      udp_segment(options.boolean("udp_segment")) {
  for (const std::string& text : options.texts("dns_resolvers")) {
    if (text == "system") {
      system_resolvers = true;
      continue;
    }
    const auto resolver = Endpoint::parse(text, 53);
    if (!resolver || resolver->port == 0)
      throw std::invalid_argument("dns_resolvers: `" + text +
                                  "` is neither \"system\" nor an address such as 192.0.2.1 or [2001:db8::1]:5353");
    resolvers.push_back(*resolver);
  }
  for (const std::string& text : options.texts("egress_addresses")) {
    const auto address = IpAddress::parse(text);
    if (!address || address->is_unspecified() || address->is_multicast())
      throw std::invalid_argument("egress_addresses: `" + text + "` is no address that a socket can send from");
    (address->is_v4() ? egress_v4 : egress_v6).push_back(*address);
  }
}

}  // namespace gatehouse::udpgw
