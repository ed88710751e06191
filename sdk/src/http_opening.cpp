// Stages of reading a request: is it HTTP at all, by its first bytes; the header, by Beast, once it is whole, so that
// nobody makes us read it again for each byte that he adds; then what it asks for, part by part, each of which may
// refuse it.
#include <gatehouse/net/http_opening.hpp>
#include <gatehouse/net/web_socket.hpp>

#include "http_header.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <stdexcept>

namespace gatehouse {
namespace {

using namespace http_header;  // NOLINT(google-build-using-namespace): the other half of this file

constexpr std::size_t kLongestSentence = 400;

/// A name that goes into a header: what could end one is left out.
std::string word(std::string_view text) {
  std::string out;
  std::ranges::copy_if(text, std::back_inserter(out), [](char c) { return is_alnum(c) || c == '-' || c == '_'; });
  return out;
}

/// Sixteen bytes in base64.
bool is_web_socket_key(std::string_view text) noexcept {
  return text.size() == 24 && text.ends_with("==") && consists_of(text.substr(0, 22), "+/");
}

Refusal judge_request_line(const http::request_header<>& header, std::string_view plugin) {
  if (header.method() != http::verb::get) return refusal(405, "Only GET is known here.");
  if (header.version() != 11)
    return refusal(400, "HTTP/1.1 is needed; behind nginx that takes `proxy_http_version 1.1;`.");
  const std::string_view target = view(header.target());
  const std::string_view path = target.substr(0, target.find('?'));
  if (!path.starts_with('/') || path.substr(1) != plugin) return refusal(404, "Nothing is served under this path.");
  return {};
}

Refusal judge_body(const http::fields& header) {
  const auto lengths = values(header, http::field::content_length);
  const bool has_body = std::ranges::any_of(lengths, [](std::string_view length) { return length != "0"; });
  if (has_body || header.count(http::field::transfer_encoding) != 0)
    return refusal(400, "The request must not have a body.");
  return {};
}

Refusal read_upgrade(const http::fields& header, std::string_view plugin, HttpRequest& out) {
  const auto protocol = find_element(header, http::field::upgrade, [=](std::string_view one) {
    return equal_without_case(one, plugin) || equal_without_case(one, "websocket");
  });
  if (!protocol) {
    return refusal(426, "Ask with `Upgrade: " + word(plugin) +
                            "` or `Upgrade: websocket`, and `Connection: upgrade`; behind nginx both take a line "
                            "`proxy_set_header`.");
  }
  if (!has_element(header, http::field::connection, "upgrade"))
    return refusal(400, "Upgrade needs `Connection: upgrade`; behind nginx that takes a line `proxy_set_header`.");
  out.is_web_socket = !equal_without_case(*protocol, plugin);
  if (!out.is_web_socket) return {};
  const auto versions = values(header, http::field::sec_websocket_version);
  if (versions.size() != 1 || versions[0] != "13") return refusal(426, "WebSocket is spoken in version 13 only.");
  const auto keys = values(header, http::field::sec_websocket_key);
  if (keys.size() != 1 || !is_web_socket_key(keys[0]))
    return refusal(400, "WebSocket needs one Sec-WebSocket-Key: 16 bytes in base64.");
  out.web_socket_key = keys[0];
  return {};
}

void append(std::string& header, std::span<const HttpField> fields) {
  for (const HttpField& field : fields) {
    (header += "\r\n") += word(field.name);
    header += ": ";
    std::ranges::copy_if(field.value, std::back_inserter(header), [](char c) { return c >= ' ' && c <= '~'; });
  }
}

HttpOpening refused(HttpRefusal why) {
  HttpOpening out;
  out.state = HttpOpening::State::refusal;
  out.refusal = std::move(why);
  return out;
}

}  // namespace

std::optional<std::string> find_field(std::span<const HttpField> fields, std::string_view name) {
  std::optional<std::string> out;
  for (const HttpField& field : fields) {
    if (!equal_without_case(field.name, name)) continue;
    out = out ? *out + ", " + field.value : field.value;
  }
  return out;
}

HttpOpening parse_http_opening(Bytes in, std::string_view plugin, std::span<const std::string> origins) {
  const std::string_view text = text_of(in);
  if (!begins_like_a_request(text)) return refused(*refusal(400, "This is not HTTP/1.1."));
  if (!has_ended(text)) return {};
  http::request_parser<http::empty_body> parser;
  const auto size = read_header(parser, in);
  if (!size) return refused(unreadable(size.error()));
  HttpOpening out;
  out.request.size = *size;
  const auto& header = parser.get().base();
  Refusal why = judge_request_line(header, plugin);
  if (!why) why = judge_host_and_origin(header, origins);
  if (!why) why = judge_body(header);
  if (!why) why = read_upgrade(header, plugin, out.request);
  if (!why) why = read_token(header, out.request.token);
  if (why) return refused(std::move(*why));
  out.request.forwarded_for = read_forwarded_for(header);
  out.request.fields = own_fields(header);
  out.state = HttpOpening::State::request;
  return out;
}

std::string write_http_switch(const HttpRequest& request, std::string_view plugin, std::span<const HttpField> fields) {
  std::string out = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: ";
  out += request.is_web_socket ? "websocket" : word(plugin);
  if (request.is_web_socket) out += "\r\nSec-WebSocket-Accept: " + accept_key(request.web_socket_key);
  append(out, fields);
  return out + "\r\n\r\n";
}

std::string write_http_refusal(const HttpRefusal& refusal, std::string_view plugin) {
  const std::string body =
      nlohmann::json{{"error", refusal.sentence}}.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  std::string out = "HTTP/1.1 " + std::to_string(refusal.status) + ' ';
  out += view(http::obsolete_reason(http::int_to_status(refusal.status)));
  out += refusal.status == 426 ? "\r\nConnection: close, upgrade" : "\r\nConnection: close";
  if (refusal.status == 401) out += "\r\nWWW-Authenticate: Bearer";
  if (refusal.status == 405) out += "\r\nAllow: GET";
  if (refusal.status == 426) out += "\r\nUpgrade: " + word(plugin) + ", websocket\r\nSec-WebSocket-Version: 13";
  if (refusal.retry_after.count() > 0) out += "\r\nRetry-After: " + std::to_string(refusal.retry_after.count());
  out += "\r\nCache-Control: no-store\r\nContent-Type: application/json\r\nContent-Length: ";
  return out + std::to_string(body.size()) + "\r\n\r\n" + body;
}

std::optional<IpAddress> client_behind(std::span<const IpAddress> forwarded_for, const IpAddress& peer,
                                       std::span<const Prefix> trusted) noexcept {
  const auto is_trusted = [=](const IpAddress& address) {
    return std::ranges::any_of(trusted, [&](const Prefix& prefix) { return prefix.contains(address); });
  };
  if (forwarded_for.empty() || !is_trusted(peer.unmapped())) return {};
  const auto client = std::ranges::find_if_not(forwarded_for, is_trusted);
  return client != forwarded_for.end() ? *client : forwarded_for.back();
}

std::string write_http_request(std::string_view host, std::string_view plugin, std::string_view token,
                               std::string_view web_socket_key, std::span<const HttpField> fields) {
  const auto want = [](bool fact, const char* sentence) {
    if (!fact) throw std::invalid_argument(sentence);
  };
  want(!host.empty() && consists_of(host, "-._:[]"), "a host has letters, digits and -._:[] only");
  want(!plugin.empty() && consists_of(plugin, "-_"), "a plugin's name has letters, digits, - and _ only");
  want(token.empty() || is_bearer_token(token), "a token has letters, digits and -._~+/ only, and = at its end");
  want(web_socket_key.empty() || is_web_socket_key(web_socket_key), "a WebSocket key is 16 bytes in base64");
  std::string out = "GET /" + std::string(plugin) + " HTTP/1.1\r\nHost: " + std::string(host);
  out += "\r\nConnection: upgrade\r\nUpgrade: ";
  out += web_socket_key.empty() ? plugin : std::string_view("websocket");
  if (!web_socket_key.empty()) (out += "\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ") += web_socket_key;
  if (!token.empty()) (out += "\r\nAuthorization: Bearer ") += token;
  append(out, fields);
  return out + "\r\n\r\n";
}

namespace {

/// What may be shown of what others have written.
std::string printable(std::string_view text) {
  std::string out(text.substr(0, kLongestSentence));
  std::ranges::replace_if(
      out, [](char c) { return c < ' ' || c > '~'; }, '?');
  return out;
}

HttpAnswer refused_answer(unsigned status, std::string_view sentence) {
  return {HttpAnswer::State::refused, 0, status, printable(sentence), {}, {}};
}

/// In seconds; as a date it is not read, nor more than a day.
std::chrono::seconds retry_after(const http::fields& header) {
  const auto lines = values(header, http::field::retry_after);
  std::uint32_t seconds = 0;
  if (lines.size() != 1) return {};
  const auto [end, failure] = std::from_chars(lines[0].data(), lines[0].data() + lines[0].size(), seconds);
  const bool is_number = failure == std::errc() && end == lines[0].data() + lines[0].size();
  return std::chrono::seconds(is_number ? std::min(seconds, 86'400u) : 0);
}

/// What is wrong with a 101; "" = nothing.
std::string_view judge_switch(const http::fields& header, std::string_view plugin, std::string_view web_socket_key) {
  const bool is_web_socket = !web_socket_key.empty();
  if (!has_element(header, http::field::connection, "upgrade") ||
      !has_element(header, http::field::upgrade, is_web_socket ? "websocket" : plugin))
    return "The server has switched to another protocol than was asked for.";
  if (!is_web_socket) return {};
  const auto accepted = values(header, http::field::sec_websocket_accept);
  if (accepted.size() != 1 || accepted[0] != accept_key(web_socket_key))
    return "Sec-WebSocket-Accept is not the answer to this request: a proxy may have kept another one's.";
  if (header.count(http::field::sec_websocket_extensions) != 0 ||
      header.count(http::field::sec_websocket_protocol) != 0)
    return "The server wants a WebSocket extension or protocol that was not offered.";
  return {};
}

/// The sentence of {"error": sentence}.
std::optional<std::string> error_of(std::string_view body) {
  const auto json = nlohmann::json::parse(body, nullptr, false);
  if (!json.is_object()) return {};
  const auto error = json.find("error");
  if (error == json.end() || !error->is_string()) return {};
  return error->get<std::string>();
}

}  // namespace

HttpAnswer parse_http_answer(Bytes in, std::string_view plugin, std::string_view web_socket_key) {
  constexpr std::string_view kBegin = "HTTP/1.";
  const std::string_view text = text_of(in);
  if (!kBegin.starts_with(text.substr(0, kBegin.size()))) return refused_answer(0, "The answer is not HTTP/1.1.");
  if (!has_ended(text)) return {};
  http::response_parser<http::empty_body> parser;
  const auto size = read_header(parser, in);
  if (!size) return refused_answer(0, "The answer is not HTTP/1.1: " + size.error().message() + '.');
  const auto& header = parser.get().base();
  const unsigned status = header.result_int();
  if (status == 101) {
    const std::string_view wrong = judge_switch(header, plugin, web_socket_key);
    if (!wrong.empty()) return refused_answer(status, wrong);
    return {HttpAnswer::State::switched, *size, status, {}, own_fields(header), {}};
  }
  const std::uint64_t length = parser.content_length().value_or(0);
  std::optional<std::string> error;
  if (length <= kLongestHttpOpening - *size) {
    if (in.size() - *size < length) return {};
    error = error_of(text.substr(*size, length));
  }
  const std::string_view reason = view(header.reason());
  HttpAnswer out = refused_answer(status, error            ? std::string_view(*error)
                                          : reason.empty() ? view(http::obsolete_reason(http::int_to_status(status)))
                                                           : reason);
  out.retry_after = retry_after(header);
  return out;
}

}  // namespace gatehouse
