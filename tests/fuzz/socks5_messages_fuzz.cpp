// Any bytes as each of SOCKS5's messages: what is read lies inside the input, and addresses survive being written.
#include "plugins/socks5/wire/greeting.hpp"
#include "plugins/socks5/wire/login.hpp"
#include "plugins/socks5/wire/request.hpp"
#include "plugins/socks5/wire/udp_header.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <array>

namespace {

using namespace gatehouse;
using namespace gatehouse::socks5;

bool lies_in(Bytes outer, const void* data, std::size_t size) {
  const auto* const at = static_cast<const std::byte*>(data);
  return at >= outer.data() && at + size <= outer.data() + outer.size();
}

void check(Bytes in, const Destination& to) {
  if (!to.name.empty()) return require(lies_in(in, to.name.data(), to.name.size()));
  std::array<std::byte, kLargestAddressField> wire;
  const std::size_t size = write_destination(wire, to.endpoint);
  const auto again = read_destination(Bytes(wire).first(size));
  require(again && again->size == size && again->destination.endpoint == to.endpoint);
}

/// A message that is whole is whole with less behind it, and no shorter.
template <class Read>
void check_size(Bytes in, std::size_t size, Read read) {
  require(size <= in.size());
  require(read(in.first(size)).has_value());
  require(read(in.first(size - 1)).error() == Errc::truncated);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes in = fuzz_input(data, size);
  if (const auto greeting = read_greeting(in)) {
    check_size(in, greeting->size, read_greeting);
    static_cast<void>(greeting->offers(Method::none));
  }
  if (const auto login = read_login(in)) {
    check_size(in, login->size, read_login);
    require(login->user.empty() || lies_in(in, login->user.data(), login->user.size()));
    require(login->password.empty() || lies_in(in, login->password.data(), login->password.size()));
  }
  if (const auto request = read_request(in)) {
    check_size(in, request->size, read_request);
    check(in, request->destination);
  }
  if (const auto message = read_udp_message(in)) {
    check(in, message->destination);
    require(message->payload.empty() || lies_in(in, message->payload.data(), message->payload.size()));
    require(message->payload.data() + message->payload.size() == in.data() + in.size());
  }
  return 0;
}
