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
}

}  // namespace gatehouse::socks5
