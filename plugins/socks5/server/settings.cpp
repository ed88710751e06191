#include "plugins/socks5/server/settings.hpp"

#include <stdexcept>

namespace gatehouse::socks5 {

Socks5Settings::Socks5Settings(const Options& options)
    : resolver_timeout(std::chrono::milliseconds(options.integer("resolver_timeout_ms"))),
      connect_timeout(std::chrono::seconds(options.integer("connect_timeout_seconds"))),
      tunnel_idle(std::chrono::seconds(options.integer("tunnel_idle_seconds"))),
      blocked_answer(options),
      splice(options.boolean("splice")) {
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

IpAddress Socks5Settings::egress(Family family, std::size_t whose) const noexcept {
  const auto& addresses = family == Family::v4 ? egress_v4 : egress_v6;
  return addresses.empty() ? IpAddress() : addresses[whose % addresses.size()];
}

}  // namespace gatehouse::socks5
