// HTTP/1.1 as an API speaks it: a request with a body of known length, an answer, and the next request of the same
// connection. Pure functions; any thread. The other use of HTTP, a stream's opening, is in net/http_opening.hpp.
//
//   POST /v0/things HTTP/1.1              HTTP/1.1 200 OK
//   Host: gate.example                    Content-Type: application/json
//   Authorization: Bearer TOKEN           Content-Length: 14
//   Content-Length: 9
//                                         {"thing":"yes"}
//   {"id":17}
//
// Source: RFC 9110; RFC 9112 (HTTP/1.1); RFC 6750, 2.1 (Bearer).
#pragma once

#include <gatehouse/net/http_opening.hpp>

namespace gatehouse {

/// A whole request.
struct ApiRequest {
  std::size_t size = 0;                  ///< bytes, header and body; what is behind it is the next one
  std::string method;                    ///< "POST"
  std::string path;                      ///< as sent, without the query: "/v0/things"
  std::string query;                     ///< what is behind its ?
  std::string body;                      ///< whole; "" = none
  std::string token;                     ///< "" = none was shown
  std::vector<IpAddress> forwarded_for;  ///< as HttpRequest::forwarded_for
  std::vector<HttpField> fields;         ///< those that nothing above was read from
  bool wants_more = false;               ///< the connection may stay for another request
};

/// What it comes to.
struct ApiAnswer {
  unsigned status = 200;                  ///< of HTTP
  std::string body;                       ///< of `type`
  std::string type = "application/json";  ///< its Content-Type
  std::chrono::seconds retry_after{0};    ///< 0 = none said
  std::string allow;                      ///< with 405: the methods that there are

  /// {"error": sentence}
  [[nodiscard]] static ApiAnswer error(unsigned status, std::string_view sentence,
                                       std::chrono::seconds retry_after = {});
};

/// What the bytes so far come to.
struct ApiRead {
  /// Which of the two parts below is set.
  enum class State {
    incomplete,  ///< neither: keep the bytes, and come again with more
    request,     ///< `request`
    refusal,     ///< `refusal`
  };
  State state = State::incomplete;  ///< what is at the front of the bytes
  std::size_t needed = 0;           ///< incomplete: look again when there are more bytes than now, and at least so many
  ApiRequest request;               ///< with State::request
  HttpRefusal refusal;              ///< with State::refusal: the connection cannot go on behind it
};

/// Reads the request at the front of `in`.
///
/// Refusals: 400 malformed, too long a header, HTTP/1.0, not one Host, two Authorizations or another than Bearer, two
/// Content-Lengths; 403 an Origin that is none of `origins`; 411 a body of unknown length (Transfer-Encoding); 413 a
/// body of more than `largest_body` bytes; 417 an Expect, which nobody waits for with bodies that small.
///
/// Cost: as parse_http_opening(); with `needed` heeded the header is read twice at most.
[[nodiscard]] ApiRead parse_api_request(Bytes in, std::size_t largest_body, std::span<const std::string> origins = {});

/// The answer as it goes out. @param goes_on  the connection stays for another request
[[nodiscard]] std::string write_api_answer(const ApiAnswer& answer, bool goes_on);

}  // namespace gatehouse
