// What requests and answers have in common, read by Beast: for http_opening.cpp and http_api.cpp alone, since its
// headers are heavy.
#pragma once

#include <gatehouse/net/http_opening.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::http_header {

namespace http = boost::beast::http;

inline constexpr std::string_view kForwardedFor = "X-Forwarded-For";

inline bool is_alnum(char c) noexcept {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
inline char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }
inline std::string_view view(boost::beast::string_view text) noexcept { return {text.data(), text.size()}; }

/// Letters, digits, and `others`.
[[nodiscard]] bool consists_of(std::string_view text, std::string_view others) noexcept;
[[nodiscard]] bool equal_without_case(std::string_view left, std::string_view right) noexcept;
/// Without blanks around it.
[[nodiscard]] std::string_view trimmed(std::string_view text) noexcept;
/// b64token of RFC 6750, 2.1.
[[nodiscard]] bool is_bearer_token(std::string_view text) noexcept;

/// Is the header whole, or will it never be? memmem is linear, whatever is sent.
[[nodiscard]] bool has_ended(std::string_view in) noexcept;
/// A method and a space, or what may become that.
[[nodiscard]] bool begins_like_a_request(std::string_view in) noexcept;

/// The values of a field, of which there may be any number.
[[nodiscard]] std::vector<std::string_view> values(const http::fields& header, http::field name);

/// The first element of a list (RFC 9110, 5.6.1), over all of its lines, that `wanted` wants.
template <class Wanted>
std::optional<std::string_view> find_element(const http::fields& header, http::field name, Wanted wanted) {
  for (std::string_view line : values(header, name)) {
    while (!line.empty()) {
      const std::string_view element = line.substr(0, line.find(','));
      line.remove_prefix(std::min(element.size() + 1, line.size()));
      if (wanted(trimmed(element))) return trimmed(element);
    }
  }
  return {};
}
[[nodiscard]] bool has_element(const http::fields& header, http::field name, std::string_view element);

/// None: nothing is wrong.
using Refusal = std::optional<HttpRefusal>;
[[nodiscard]] Refusal refusal(unsigned status, std::string sentence);

/// Reads a header, request or answer, that has_ended().
/// @return its size, or what is wrong
template <class Parser>
Result<std::size_t> read_header(Parser& parser, Bytes in) {
  const Bytes kept = in.first(std::min(in.size(), kLongestHttpOpening));  // Beast's limit is of each of its two parts
  parser.header_limit(kLongestHttpOpening);
  parser.body_limit(boost::none);
  Error failure;
  const std::size_t size = parser.put(boost::asio::buffer(kept.data(), kept.size()), failure);
  if (!failure && !parser.is_header_done()) failure = http::error::need_more;
  if (failure == http::error::need_more)
    failure = kept.size() == kLongestHttpOpening ? http::error::header_limit : http::error::partial_message;
  if (failure) return failure;
  return size;
}

/// What a request's header that cannot be read is refused with.
[[nodiscard]] HttpRefusal unreadable(const Error& why);
/// Not one Host, or an Origin that is none of `origins`.
[[nodiscard]] Refusal judge_host_and_origin(const http::fields& header, std::span<const std::string> origins);
/// Authorization: Bearer, at most once.
[[nodiscard]] Refusal read_token(const http::fields& header, std::string& token);
/// X-Forwarded-For, from the last to the first.
[[nodiscard]] std::vector<IpAddress> read_forwarded_for(const http::fields& header);
/// Those that neither HTTP itself nor the readers above are about.
[[nodiscard]] std::vector<HttpField> own_fields(const http::fields& header);

}  // namespace gatehouse::http_header
