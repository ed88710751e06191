// net: what http_opening.cpp and http_api.cpp read alike.
#include <gatehouse/net/http_opening.hpp>

#include "http_header.hpp"

#include <cstring>

namespace gatehouse::http_header {
namespace {

constexpr std::size_t kLongestMethod = 16;

}  // namespace

bool consists_of(std::string_view text, std::string_view others) noexcept {
  return std::ranges::all_of(text, [=](char c) { return is_alnum(c) || others.find(c) != others.npos; });
}

bool equal_without_case(std::string_view left, std::string_view right) noexcept {
  return std::ranges::equal(left, right, {}, lower, lower);
}

std::string_view trimmed(std::string_view text) noexcept {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

bool is_bearer_token(std::string_view text) noexcept {
  const std::string_view body = text.substr(0, text.find_last_not_of('=') + 1);
  return !body.empty() && consists_of(body, "-._~+/");
}

std::vector<std::string_view> values(const http::fields& header, http::field name) {
  std::vector<std::string_view> out;
  const auto [begin, end] = header.equal_range(name);
  for (auto at = begin; at != end; ++at) out.push_back(view(at->value()));
  return out;
}

bool has_element(const http::fields& header, http::field name, std::string_view element) {
  return find_element(header, name, [=](std::string_view one) { return equal_without_case(one, element); }).has_value();
}

bool has_ended(std::string_view in) noexcept {
  constexpr std::string_view kEnd = "\r\n\r\n";
  if (in.size() < kEnd.size()) return false;
  return in.size() >= kLongestHttpOpening || memmem(in.data(), in.size(), kEnd.data(), kEnd.size()) != nullptr;
}

Refusal refusal(unsigned status, std::string sentence) {
  return HttpRefusal{status, std::move(sentence), std::chrono::seconds(0)};
}

bool begins_like_a_request(std::string_view in) noexcept {
  const std::size_t size = in.substr(0, kLongestMethod + 1).find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ");
  if (size == in.npos) return in.size() <= kLongestMethod;
  return size > 0 && in[size] == ' ';
}

HttpRefusal unreadable(const Error& why) {
  if (why == http::error::header_limit) return *refusal(400, "The request is longer than 8 KiB.");
  return *refusal(400, "This is not HTTP/1.1: " + why.message() + '.');
}

Refusal judge_host_and_origin(const http::fields& header, std::span<const std::string> origins) {
  if (header.count(http::field::host) != 1) return refusal(400, "Exactly one Host is needed.");
  // A browser shows its user's certificate, or what loopback lets it do, to whatever page asks (RFC 6455, 10.2).
  const auto pages = values(header, http::field::origin);
  if (pages.empty()) return {};
  if (origins.empty()) return refusal(403, "Pages in browsers are not served: leave Origin out.");
  const auto is_page = [&](const std::string& origin) { return equal_without_case(pages[0], origin); };
  if (pages.size() > 1 || std::ranges::none_of(origins, is_page))
    return refusal(403, "This page is not served: its Origin is none of the listener's origins.");
  return {};
}

Refusal read_token(const http::fields& header, std::string& token) {
  constexpr std::string_view kScheme = "Bearer ";
  const auto lines = values(header, http::field::authorization);
  if (lines.empty()) return {};
  if (lines.size() > 1) return refusal(400, "There is more than one Authorization.");
  const std::string_view line = lines[0];
  const bool is_bearer = equal_without_case(line.substr(0, kScheme.size()), kScheme);
  const std::string_view shown = is_bearer ? trimmed(line.substr(kScheme.size())) : std::string_view();
  if (!is_bearer_token(shown)) return refusal(400, "Authorization must be `Bearer TOKEN` (RFC 6750).");
  token = shown;
  return {};
}

std::vector<IpAddress> read_forwarded_for(const http::fields& header) {
  std::vector<IpAddress> out;
  std::vector<std::string_view> lines;
  const auto [begin, end] = header.equal_range(boost::beast::string_view(kForwardedFor.data(), kForwardedFor.size()));
  for (auto at = begin; at != end; ++at) lines.push_back(view(at->value()));
  for (; !lines.empty(); lines.pop_back()) {
    std::string_view line = lines.back();
    for (bool is_first = false; !is_first;) {
      const std::size_t comma = line.rfind(',');
      is_first = comma == line.npos;
      const auto address = IpAddress::parse(trimmed(is_first ? line : line.substr(comma + 1)));
      if (!address || out.size() == kMostForwardedFor) return out;
      out.push_back(address->unmapped());
      if (!is_first) line = line.substr(0, comma);
    }
  }
  return out;
}

std::vector<HttpField> own_fields(const http::fields& header) {
  constexpr http::field kKnown[] = {http::field::host,
                                    http::field::connection,
                                    http::field::upgrade,
                                    http::field::authorization,
                                    http::field::origin,
                                    http::field::content_length,
                                    http::field::transfer_encoding,
                                    http::field::sec_websocket_key,
                                    http::field::sec_websocket_version,
                                    http::field::sec_websocket_accept,
                                    http::field::sec_websocket_extensions,
                                    http::field::sec_websocket_protocol};
  std::vector<HttpField> out;
  for (const auto& field : header) {
    if (std::ranges::find(kKnown, field.name()) != std::end(kKnown)) continue;
    const std::string_view name = view(field.name_string());
    if (!equal_without_case(name, kForwardedFor)) out.push_back({std::string(name), std::string(view(field.value()))});
  }
  return out;
}

}  // namespace gatehouse::http_header
