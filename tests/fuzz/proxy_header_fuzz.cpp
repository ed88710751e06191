// Whether it is a header shows at its last byte and not before, and what follows does not matter; what was read is
// written, in both versions, and read again.
#include <gatehouse/net/proxy_header.hpp>

#include "tests/fuzz/fuzz.hpp"

#include <vector>

namespace gatehouse {
namespace {

void check(Bytes in) {
  const auto header = parse_proxy_header(in);
  if (!header) {
    require(header.error() == Errc::malformed || in.size() < kLongestProxyHeader);
    return;
  }
  require(header->size <= in.size() && header->size <= kLongestProxyHeader);
  for (std::size_t n = 0; n < header->size; ++n) {
    const std::vector<std::byte> cut(in.begin(), in.begin() + n);
    require(parse_proxy_header(cut).error() == Errc::would_block);
  }
  const auto alone = parse_proxy_header(in.first(header->size));
  require(alone && alone->size == header->size && alone->source == header->source);
  if (!header->source) return;
  for (const auto version : {ProxyVersion::v1, ProxyVersion::v2}) {
    const std::string wire = write_proxy_header(version, *header->source, *header->source);
    const auto again = parse_proxy_header(bytes_of(wire));
    require(again && again->size == wire.size() && again->source == header->source);
  }
}

}  // namespace
}  // namespace gatehouse

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  gatehouse::check(gatehouse::fuzz_input(data, size));
  return 0;
}
