// Asks a relay for an endpoint: POST /v0/relay/endpoint over a Unix socket, TCP or TLS, with a bearer token where there
// is one. Blocking, bounded in time.
#pragma once

#include "plugins/geneve-relay/wire/bind_message.hpp"
#include "plugins/geneve-relay/wire/endpoint_message.hpp"

#include <gatehouse/base/clock.hpp>
#include <gatehouse/net/client_options.hpp>

#include <chrono>
#include <stdexcept>
#include <string>

namespace gatehouse::geneve_relay {

/// The relay has answered, and gives no endpoint; what() is a whole sentence, with the relay's own in it.
class AllocationRefused : public std::runtime_error {
 public:
  AllocationRefused(const std::string& sentence, unsigned refused_with, std::chrono::seconds after)
      : std::runtime_error(sentence), status(refused_with), retry_after(after) {}
  unsigned status;                   ///< of HTTP
  std::chrono::seconds retry_after;  ///< 0 = asking again is of no use
};

/// One for each relay; a connection for each request. Not thread-safe.
class AllocationClient {
 public:
  /// @param api  where it listens, and by what. Its token_file is read at each request; http, web_socket and path are
  ///             not for it
  /// @throws std::invalid_argument  what does not belong together in it
  explicit AllocationClient(ClientOptions api);

  /// The endpoint of two clients, of whatever age.
  /// @param form  the first: what its clients ask for, an answer without their keys
  /// @throws AllocationRefused; std::runtime_error  nobody answers, or not as a relay does
  [[nodiscard]] ServerEndpoint allocate(const DiscoPair& clients, WireForm form, SteadyTime deadline) const;

 private:
  ClientOptions api_;
  std::filesystem::path token_file_;
};

}  // namespace gatehouse::geneve_relay
