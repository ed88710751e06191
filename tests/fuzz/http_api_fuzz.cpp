// Any bytes as a request of an HTTP API. What was read does not depend on what follows and was nothing yet while it was
// shorter, every refusal is a sentence that can be sent, and nothing of a request gets into an answer's header.
#include <gatehouse/net/http_api.hpp>

#include "tests/fuzz/fuzz.hpp"

#include <algorithm>
#include <vector>

namespace gatehouse {
namespace {

constexpr std::size_t kLargestBody = 512;
const std::vector<std::string> kOrigins = {"https://app.example"};

bool same(const ApiRequest& left, const ApiRequest& right) {
  return left.size == right.size && left.method == right.method && left.path == right.path &&
         left.query == right.query && left.body == right.body && left.token == right.token &&
         left.forwarded_for == right.forwarded_for && left.wants_more == right.wants_more;
}

/// Lengths at which to cut `size` bytes: the first ones, the last ones, and some between.
template <class Try>
void cut(std::size_t size, Try attempt) {
  for (std::size_t n = 0; n < size; n += n < 40 || n + 8 > size ? 1 : size / 16 + 1) attempt(n);
}

void check(Bytes in) {
  const ApiRead read = parse_api_request(in, kLargestBody, kOrigins);
  if (read.state == ApiRead::State::incomplete)
    return require(in.size() < kLongestHttpOpening + kLargestBody && (read.needed == 0 || read.needed > in.size()));
  if (read.state == ApiRead::State::refusal) {
    const auto is_printable = [](char c) { return c >= ' ' && c <= '~'; };
    require(!read.refusal.sentence.empty() && std::ranges::all_of(read.refusal.sentence, is_printable));
    return require(read.refusal.status >= 400 && read.refusal.status < 500);
  }
  const ApiRequest& request = read.request;
  require(request.size <= in.size() && request.body.size() <= kLargestBody && request.path.starts_with('/'));
  require(request.forwarded_for.size() <= kMostForwardedFor);
  require(same(parse_api_request(in.first(request.size), kLargestBody, kOrigins).request, request));
  cut(request.size, [&](std::size_t n) {
    const std::vector<std::byte> part(in.begin(), in.begin() + static_cast<std::ptrdiff_t>(n));
    require(parse_api_request(part, kLargestBody, kOrigins).state == ApiRead::State::incomplete);
  });
  const std::string answer = write_api_answer(ApiAnswer::error(400, request.body), request.wants_more);
  require(answer.find("\r\n\r\n") == answer.find("\r\n\r\n{\"error\":"));
}

}  // namespace
}  // namespace gatehouse

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  gatehouse::check(gatehouse::fuzz_input(data, size));
  return 0;
}
