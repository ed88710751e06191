#include <gatehouse/net/http_api.hpp>

#include "http_header.hpp"

#include <nlohmann/json.hpp>

#include <charconv>

namespace gatehouse {
namespace {

using namespace http_header;  // NOLINT(google-build-using-namespace): the other half of this file

ApiRead refused(HttpRefusal why) {
  ApiRead out;
  out.state = ApiRead::State::refusal;
  out.refusal = std::move(why);
  return out;
}

/// The length of the body that comes behind `header`, or why it is not waited for.
struct BodyLength {
  std::size_t bytes = 0;
  Refusal refusal;
};

BodyLength body_length(const http::fields& header, std::size_t largest) {
  if (header.count(http::field::transfer_encoding) != 0)
    return {0, refusal(411, "The body needs a Content-Length; Transfer-Encoding is not known here.")};
  const auto lengths = values(header, http::field::content_length);
  if (lengths.empty()) return {};
  if (lengths.size() > 1) return {0, refusal(400, "There is more than one Content-Length.")};
  std::size_t bytes = 0;
  const char* const end = lengths[0].data() + lengths[0].size();
  const auto [stopped, failure] = std::from_chars(lengths[0].data(), end, bytes);
  if (failure == std::errc::result_out_of_range || (failure == std::errc() && bytes > largest))
    return {0, refusal(413, "The body is longer than " + std::to_string(largest) + " bytes.")};
  if (failure != std::errc() || stopped != end) return {0, refusal(400, "Content-Length must be a number.")};
  return {bytes, {}};
}

Refusal judge(const http::request_header<>& header, std::span<const std::string> origins) {
  if (header.version() != 11)
    return refusal(400, "HTTP/1.1 is needed; behind nginx that takes `proxy_http_version 1.1;`.");
  if (!view(header.target()).starts_with('/')) return refusal(400, "The request must name a path.");
  if (auto why = judge_host_and_origin(header, origins)) return why;
  // Who does not get his 100 at once sends the body all the same, or asks again without it.
  if (header.count(http::field::expect) != 0) return refusal(417, "Expect is not known here: send the body at once.");
  return {};
}

}  // namespace

ApiAnswer ApiAnswer::error(unsigned status, std::string_view sentence, std::chrono::seconds retry_after) {
  ApiAnswer out;
  out.status = status;
  out.body = nlohmann::json{{"error", sentence}}.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  out.retry_after = retry_after;
  return out;
}

ApiRead parse_api_request(Bytes in, std::size_t largest_body, std::span<const std::string> origins) {
  const std::string_view text = text_of(in);
  if (!begins_like_a_request(text)) return refused(*refusal(400, "This is not HTTP/1.1."));
  if (!has_ended(text)) return {};
  http::request_parser<http::empty_body> parser;
  parser.eager(false);
  const auto size = read_header(parser, in);
  if (!size) return refused(unreadable(size.error()));
  const auto& header = parser.get().base();
  Refusal why = judge(header, origins);
  ApiRead out;
  if (!why) why = read_token(header, out.request.token);
  if (why) return refused(std::move(*why));
  BodyLength body = body_length(header, largest_body);
  if (body.refusal) return refused(std::move(*body.refusal));
  if (in.size() - *size < body.bytes) {
    out.needed = *size + body.bytes;
    return out;
  }
  ApiRequest& request = out.request;
  const std::string_view target = view(header.target());
  const std::size_t end_of_path = std::min(target.find('?'), target.size());
  request.size = *size + body.bytes;
  request.method = view(header.method_string());
  request.path = target.substr(0, end_of_path);
  request.query = target.substr(std::min(end_of_path + 1, target.size()));
  request.body = text.substr(*size, body.bytes);
  request.forwarded_for = read_forwarded_for(header);
  request.fields = own_fields(header);
  request.wants_more = !has_element(header, http::field::connection, "close");
  out.state = ApiRead::State::request;
  return out;
}

std::string write_api_answer(const ApiAnswer& answer, bool goes_on) {
  std::string out = "HTTP/1.1 " + std::to_string(answer.status) + ' ';
  out += view(http::obsolete_reason(http::int_to_status(answer.status)));
  if (!goes_on) out += "\r\nConnection: close";
  if (answer.status == 401) out += "\r\nWWW-Authenticate: Bearer";
  if (!answer.allow.empty()) out += "\r\nAllow: " + answer.allow;
  if (answer.retry_after.count() > 0) out += "\r\nRetry-After: " + std::to_string(answer.retry_after.count());
  out += "\r\nCache-Control: no-store\r\nContent-Type: " + answer.type + "\r\nContent-Length: ";
  return out + std::to_string(answer.body.size()) + "\r\n\r\n" + answer.body;
}

}  // namespace gatehouse
