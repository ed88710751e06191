// The HTTP/1.1 opening of a stream: a client asks for a plugin's protocol with Upgrade, shows its token, and from the
// answer's 101 on both sides speak that protocol, in the same bytes or as WebSocket messages (net/web_socket.hpp).
// Proxies and CDNs pass it. Pure functions of both sides; any thread.
//
//   GET /udpgw HTTP/1.1                        HTTP/1.1 101 Switching Protocols
//   Host: gate.example                         Connection: upgrade
//   Connection: upgrade                        Upgrade: udpgw
//   Upgrade: udpgw
//   Authorization: Bearer TOKEN
//
// With `Upgrade: websocket`, Sec-WebSocket-Version: 13 and a Sec-WebSocket-Key come along, and Sec-WebSocket-Accept
// goes back. Source: RFC 9110, 7.8 (Upgrade); RFC 9112 (HTTP/1.1); RFC 6455, 4 (WebSocket); RFC 6750, 2.1 (Bearer).
#pragma once

#include <gatehouse/base/bytes.hpp>
#include <gatehouse/base/prefix.hpp>

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse {

/// Bytes that a header has at most, request or answer: no more need be kept to read one.
inline constexpr std::size_t kLongestHttpOpening = 8192;
/// Addresses that are taken from X-Forwarded-For, the last ones.
inline constexpr std::size_t kMostForwardedFor = 16;

/// A line of a header that is the frontend's own business.
struct HttpField {
  std::string name;   ///< in whatever case it came
  std::string value;  ///< without blanks around it
};
/// The value of all fields of that name, with ", " between two of them (RFC 9110, 5.3); none: there is no such field.
[[nodiscard]] std::optional<std::string> find_field(std::span<const HttpField> fields, std::string_view name);

/// What a client has asked for in order.
struct HttpRequest {
  std::size_t size = 0;                  ///< bytes of the header; what is behind it belongs to the stream
  bool is_web_socket = false;            ///< else the stream goes on in bare bytes
  std::string web_socket_key;            ///< Sec-WebSocket-Key
  std::string token;                     ///< "" = none was shown; in the alphabet of RFC 6750, not checked otherwise
  std::vector<IpAddress> forwarded_for;  ///< X-Forwarded-For from the last to the first; ends before what is no address
  std::vector<HttpField> fields;         ///< those that nothing above was read from
};

/// Why it is not to be had.
struct HttpRefusal {
  unsigned status = 0;                  ///< 400, 401, 403, 404, 405, 426, 429 or 503
  std::string sentence;                 ///< for people; nothing that a client has sent is in it
  std::chrono::seconds retry_after{0};  ///< 0 = none said
};

/// What the bytes so far come to: `request` or `refusal` is set as `state` says.
struct HttpOpening {
  /// Which of the two parts below is set.
  enum class State {
    incomplete,  ///< neither: keep the bytes, and come again with more
    request,     ///< `request`
    refusal,     ///< `refusal`
  };
  State state = State::incomplete;  ///< what is at the front of the bytes
  HttpRequest request;              ///< with State::request
  HttpRefusal refusal;              ///< with State::refusal; the stream ends behind its answer
};

/// Reads the request at the front of `in` for the protocol of `plugin`, whose path is its name behind a slash, whatever
/// query follows. Incomplete: keep the bytes and come again with more. What is no HTTP is refused by its first bytes,
/// all else when the header is whole. Whether a token is needed, and whose it is, is the caller's to say.
///
/// Refusals: 400 malformed, too long, HTTP/1.0, no Host, with a body, two Authorizations or another than Bearer;
/// 403 an Origin, which browsers alone send, that is none of `origins`; 404 another path; 405 another method than GET;
/// 426 no Upgrade to what is known here, or another version of WebSocket.
///
/// Cost: 1-3 us while it is incomplete, 30 us at worst; then 2 us for what browsers send and 150 us at worst (2,000
/// fields), with an allocation for each field.
/// @param origins  pages that may ask: "https://app.example", in lower case
[[nodiscard]] HttpOpening parse_http_opening(Bytes in, std::string_view plugin,
                                             std::span<const std::string> origins = {});

/// The answer that switches: 101. What is written behind it belongs to the stream.
/// @param fields  more lines: names of letters, digits and -, values of printable ASCII; what else is in them is left
///                out
[[nodiscard]] std::string write_http_switch(const HttpRequest& request, std::string_view plugin,
                                            std::span<const HttpField> fields = {});

/// The answer that refuses, with {"error": sentence} as its body; the connection ends behind it.
[[nodiscard]] std::string write_http_refusal(const HttpRefusal& refusal, std::string_view plugin);

/// For whom `peer` speaks: where it is one of the `trusted` proxies, the last address of X-Forwarded-For that is not,
/// or the first of all where every one is trusted. None where `peer` is not trusted or says nothing: then the
/// connection's own address holds.
/// @param forwarded_for  HttpRequest::forwarded_for
[[nodiscard]] std::optional<IpAddress> client_behind(std::span<const IpAddress> forwarded_for, const IpAddress& peer,
                                                     std::span<const Prefix> trusted) noexcept;

/// What a client sends.
/// @param host            name or address, with a port where it is not the usual one
/// @param token           "" = none
/// @param web_socket_key  base64 of 16 random bytes; "" = no WebSocket: Upgrade names the plugin
/// @param fields          more lines, as of write_http_switch()
/// @throws std::invalid_argument  one of the texts has characters that it cannot have; says which
[[nodiscard]] std::string write_http_request(std::string_view host, std::string_view plugin, std::string_view token,
                                             std::string_view web_socket_key, std::span<const HttpField> fields = {});

/// What a server, or a proxy before it, has answered.
struct HttpAnswer {
  /// How far it has come.
  enum class State {
    incomplete,  ///< keep the bytes, and come again with more
    switched,    ///< 101: the stream begins behind the header
    refused,     ///< anything else, also what is no HTTP
  };
  State state = State::incomplete;  ///< decides what of the rest is set
  std::size_t size = 0;             ///< switched: bytes of the header; what is behind it belongs to the stream
  unsigned status = 0;              ///< 0 = it is not HTTP
  /// Refused: the error of a JSON body, else the reason, else what is wrong with the answer. Printable ASCII of at most
  /// 400 characters, whatever was sent.
  std::string sentence;
  std::vector<HttpField> fields;        ///< switched: those that nothing else was read from
  std::chrono::seconds retry_after{0};  ///< refused: when to come again; 0 = it does not say
};

/// Reads the answer to write_http_request() with the same `plugin` and `web_socket_key`. A refusal is complete with its
/// body, where that has a length and fits into kLongestHttpOpening; with its header otherwise.
[[nodiscard]] HttpAnswer parse_http_answer(Bytes in, std::string_view plugin, std::string_view web_socket_key);

}  // namespace gatehouse
