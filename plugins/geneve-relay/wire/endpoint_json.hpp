// The JSON of POST /v0/relay/endpoint: what is asked for, and the endpoint that comes back.
//
//   {"DiscoKeys":["discokey:<64 hex>","discokey:<64 hex>"]}
//   {"ServerDisco":"discokey:...","ClientDisco":["discokey:...","discokey:..."],"LamportID":77,
//    "AddrPorts":["192.0.2.1:41100","[2001:db8::1]:41101"],"VNI":43981,"BindLifetime":"30s","SteadyStateLifetime":"5m0s"}
//
// The first form has no ClientDisco, and lifetimes as nanoseconds.
#pragma once

#include "plugins/geneve-relay/wire/bind_message.hpp"
#include "plugins/geneve-relay/wire/endpoint_message.hpp"

#include <string>
#include <string_view>

namespace gatehouse::geneve_relay {

inline constexpr std::size_t kLargestJsonRequest = 512;    ///< bytes of a request's body
inline constexpr std::size_t kLargestJsonEndpoint = 4096;  ///< bytes of an answer that clients read

/// The two keys, sorted. Other members are ignored.
/// @return Errc::oversize   more than kLargestJsonRequest
///         Errc::malformed  no JSON, no DiscoKeys, or something in them is no key
///         Errc::invalid    not exactly two, or one twice
[[nodiscard]] Result<DiscoPair> parse_json_request(std::string_view body);

/// The body of a request, for clients.
[[nodiscard]] std::string write_json_request(const DiscoPair& clients);

/// One line with its end, at most kLargestJsonEndpoint bytes; without addresses AddrPorts is null.
[[nodiscard]] std::string write_json_endpoint(const ServerEndpoint& endpoint, WireForm form);

/// What a relay has answered, of either form. Addresses beyond a list's bound are ignored.
/// @return Errc::oversize   more than kLargestJsonEndpoint
///         Errc::malformed  no JSON, or not what an endpoint has
[[nodiscard]] Result<ServerEndpoint> parse_json_endpoint(std::string_view body);

}  // namespace gatehouse::geneve_relay
