// What the probe's command line asks for.
#pragma once

#include "plugins/geneve-relay/wire/bind_message.hpp"

#include <gatehouse/base/address.hpp>
#include <gatehouse/net/client_options.hpp>

#include <chrono>
#include <optional>
#include <string_view>
#include <vector>

namespace gatehouse::geneve_relay {

struct ProbeRequest {
  ClientOptions api;
  std::optional<Endpoint> server;  ///< in place of the addresses that the relay offers
  WireForm form = WireForm::current;
  unsigned count = 100;                           ///< of round trips
  std::size_t least_size = 64, most_size = 1280;  ///< of UDP payload, bytes
  std::chrono::milliseconds timeout{5000};        ///< for the allocation, and again for handshakes and the first data
};

/// @throws std::invalid_argument  says what is wrong
[[nodiscard]] ProbeRequest read_probe_request(const std::vector<std::string_view>& arguments);

}  // namespace gatehouse::geneve_relay
