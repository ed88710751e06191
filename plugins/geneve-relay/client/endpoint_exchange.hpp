// POST /v0/relay/endpoint as bytes, from the client's side. Pure functions; any thread.
#pragma once

#include "plugins/geneve-relay/wire/bind_message.hpp"
#include "plugins/geneve-relay/wire/disco_pair.hpp"

#include <gatehouse/base/bytes.hpp>

#include <chrono>
#include <string>
#include <string_view>

namespace gatehouse::geneve_relay {

/// Of an answer, header and body, that is read; more is none of a relay's.
inline constexpr std::size_t kLongestEndpointAnswer = 16 * 1024;

/// A whole request.
/// @param host   name or address, with a port where it is not the usual one
/// @param token  "" = none
/// @param form   the first is asked for by Accept
[[nodiscard]] std::string write_endpoint_request(std::string_view host, std::string_view token,
                                                 const DiscoPair& clients, WireForm form);

/// What was answered.
struct EndpointAnswer {
  enum class State : std::uint8_t {
    incomplete,  ///< keep the bytes and come again with more
    endpoint,    ///< 200, with its body in `text`
    refused      ///< anything else, with the relay's sentence in `text`
  };
  State state = State::incomplete;
  unsigned status = 0;  ///< 0 = it is not HTTP
  /// Of a refusal the error of a JSON body, else its plain text, else the reason: printable ASCII of at most 400
  /// characters.
  std::string text;
  std::chrono::seconds retry_after{0};  ///< 0 = it does not say
};

/// Reads the answer at the front of `in`.
/// @param has_ended  nothing follows: a body without a length is whole
[[nodiscard]] EndpointAnswer read_endpoint_answer(Bytes in, bool has_ended);

}  // namespace gatehouse::geneve_relay
