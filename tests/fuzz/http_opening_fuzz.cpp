// Any bytes as a request and as an answer. What was read as either does not depend on what follows, was nothing yet
// while it was shorter, and is read again from what we write for it; every refusal is a sentence that can be sent.
#include <gatehouse/net/http_opening.hpp>

#include "tests/fuzz/fuzz.hpp"

#include <algorithm>
#include <vector>

namespace gatehouse {
namespace {

constexpr std::string_view kPlugin = "udpgw";
const std::vector<std::string> kOrigins = {"https://app.example"};
constexpr std::string_view kKey = "dGhlIHNhbXBsZSBub25jZQ==";

bool is_printable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
}

bool same(const HttpRequest& left, const HttpRequest& right) {
  return left.size == right.size && left.is_web_socket == right.is_web_socket && left.token == right.token &&
         left.web_socket_key == right.web_socket_key && left.forwarded_for == right.forwarded_for;
}

/// Lengths at which to cut `size` bytes: the first ones, the last ones, and some between.
template <class Try>
void cut(std::size_t size, Try attempt) {
  for (std::size_t n = 0; n < size; n += n < 40 || n + 8 > size ? 1 : size / 16 + 1) attempt(n);
}

void check_request(Bytes in) {
  const HttpOpening opening = parse_http_opening(in, kPlugin, kOrigins);
  if (opening.state == HttpOpening::State::incomplete) return require(in.size() < kLongestHttpOpening);
  if (opening.state == HttpOpening::State::refusal) {
    require(!opening.refusal.sentence.empty() && is_printable(opening.refusal.sentence));
    const std::string text = write_http_refusal(opening.refusal, kPlugin);
    const HttpAnswer answer = parse_http_answer(bytes_of(text), kPlugin, {});
    require(answer.state == HttpAnswer::State::refused && answer.status == opening.refusal.status);
    return require(answer.sentence == opening.refusal.sentence);
  }
  const HttpRequest& request = opening.request;
  require(request.size <= in.size() && request.size <= kLongestHttpOpening);
  require(request.forwarded_for.size() <= kMostForwardedFor);
  require(same(parse_http_opening(in.first(request.size), kPlugin, kOrigins).request, request));
  cut(request.size, [&](std::size_t n) {
    const std::vector<std::byte> part(in.begin(), in.begin() + n);
    require(parse_http_opening(part, kPlugin, kOrigins).state == HttpOpening::State::incomplete);
  });
  const std::string text = write_http_request("a", kPlugin, request.token, request.web_socket_key);
  const HttpOpening again = parse_http_opening(bytes_of(text), kPlugin, kOrigins);
  require(again.state == HttpOpening::State::request && again.request.size == text.size());
  require(again.request.token == request.token && again.request.web_socket_key == request.web_socket_key);
  const std::string answer = write_http_switch(request, kPlugin);
  const HttpAnswer read = parse_http_answer(bytes_of(answer), kPlugin, request.web_socket_key);
  require(read.state == HttpAnswer::State::switched && read.size == answer.size());
}

void check_answer(Bytes in, std::string_view key) {
  const HttpAnswer answer = parse_http_answer(in, kPlugin, key);
  if (answer.state == HttpAnswer::State::incomplete) return require(in.size() < kLongestHttpOpening);
  require(is_printable(answer.sentence) && answer.sentence.size() <= 400);
  if (answer.state == HttpAnswer::State::refused) return;
  require(answer.size <= in.size() && answer.size <= kLongestHttpOpening && answer.sentence.empty());
  require(parse_http_answer(in.first(answer.size), kPlugin, key).size == answer.size);
  cut(answer.size, [&](std::size_t n) {
    const std::vector<std::byte> part(in.begin(), in.begin() + n);
    require(parse_http_answer(part, kPlugin, key).state == HttpAnswer::State::incomplete);
  });
}

}  // namespace
}  // namespace gatehouse

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gatehouse;
  const Bytes in = fuzz_input(data, size);
  check_request(in);
  check_answer(in, {});
  check_answer(in, kKey);
  return 0;
}
