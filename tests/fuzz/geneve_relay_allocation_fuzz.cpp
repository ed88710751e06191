// Any bytes as an Accept, as a STUN response and as what the kernel says of addresses. Only what can be an address is
// one, and whatever is read is read from within the input.
#include "plugins/geneve-relay/allocation/accept_form.hpp"
#include "plugins/geneve-relay/allocation/address_watch.hpp"
#include "plugins/geneve-relay/wire/geneve_header.hpp"
#include "plugins/geneve-relay/wire/stun_message.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <vector>

using namespace gatehouse;
using namespace gatehouse::geneve_relay;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes in = fuzz_input(data, size);
  const std::vector<std::byte> copy(in.begin(), in.end());  // of just that size
  if (form_wanted(text_of(copy)) == WireForm::first) require(size >= sizeof "application/json;form=1" - 1);
  if (const auto response = read_stun_response(copy)) {
    require(kind_of(copy) == DatagramKind::stun);
    require(response->mapped.port != 0 && !response->mapped.address.is_unspecified());
    const auto request = write_stun_request(response->transaction);
    require(kind_of(request) == DatagramKind::stun && !read_stun_response(request));
  }
  std::vector<IpAddress> addresses;
  static_cast<void>(read_addresses(copy, addresses));
  for (const IpAddress& one : addresses) require(one.family() != Family::none && !one.is_link_local());
  return 0;
}
