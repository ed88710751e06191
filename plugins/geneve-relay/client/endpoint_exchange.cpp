#include "plugins/geneve-relay/client/endpoint_exchange.hpp"

#include "plugins/geneve-relay/wire/endpoint_json.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>

namespace gatehouse::geneve_relay {
namespace {

namespace http = boost::beast::http;

constexpr std::size_t kLongestSentence = 400;
constexpr unsigned kLongestWait = 86'400;  // seconds

std::string_view view(boost::beast::string_view text) noexcept { return {text.data(), text.size()}; }

/// In one line, of what others have written.
std::string printable(std::string_view text) {
  text = text.substr(0, text.find_last_not_of(" \t\r\n") + 1);
  std::string out(text.substr(0, kLongestSentence));
  std::ranges::replace_if(
      out, [](char c) { return c < ' ' || c > '~'; }, '?');
  return out;
}

std::string sentence_of(const http::response<http::string_body>& answer) {
  const auto json = nlohmann::json::parse(answer.body(), nullptr, false);
  if (json.is_object())
    if (const auto error = json.find("error"); error != json.end() && error->is_string())
      return printable(error->get_ref<const std::string&>());
  if (const std::string text = printable(answer.body()); !text.empty()) return text;
  const std::string reason = printable(view(answer.reason()));
  return reason.empty() ? "it does not say why" : reason;
}

/// A date is not read.
std::chrono::seconds retry_after(const http::response<http::string_body>& answer) {
  const std::string_view text = view(answer[http::field::retry_after]);
  unsigned seconds = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  const bool is_number = failure == std::errc() && end == text.data() + text.size();
  return std::chrono::seconds(is_number ? std::min(seconds, kLongestWait) : 0);
}

EndpointAnswer no_http(std::string_view why) {
  return {EndpointAnswer::State::refused, 0, "the answer is not HTTP/1.1: " + printable(why), {}};
}

}  // namespace

std::string write_endpoint_request(std::string_view host, std::string_view token, const DiscoPair& clients,
                                   WireForm form) {
  const std::string body = write_json_request(clients);
  std::string out = "POST /v0/relay/endpoint HTTP/1.1\r\nHost: ";
  out += host;
  out += "\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size());
  out += form == WireForm::first ? "\r\nAccept: application/json; form=1" : "\r\nAccept: application/json";
  if (!token.empty()) (out += "\r\nAuthorization: Bearer ") += token;
  return out + "\r\nConnection: close\r\n\r\n" + body;
}

EndpointAnswer read_endpoint_answer(Bytes in, bool has_ended) {
  http::response_parser<http::string_body> parser;
  parser.eager(true);
  parser.header_limit(kLongestEndpointAnswer);
  parser.body_limit(kLongestEndpointAnswer);
  boost::system::error_code wrong;
  parser.put(boost::asio::buffer(in.data(), in.size()), wrong);
  if (wrong && wrong != http::error::need_more) return no_http(wrong.message());
  if (!parser.is_done() && has_ended) {
    if (parser.is_header_done()) parser.put_eof(wrong);
    if (wrong || !parser.is_done()) return no_http("it ends before its time");
  }
  if (!parser.is_done()) return in.size() < kLongestEndpointAnswer ? EndpointAnswer{} : no_http("it is too long");
  const auto& answer = parser.get();
  if (answer.result_int() == 200) return {EndpointAnswer::State::endpoint, 200, answer.body(), {}};
  return {EndpointAnswer::State::refused, answer.result_int(), sentence_of(answer), retry_after(answer)};
}

}  // namespace gatehouse::geneve_relay
