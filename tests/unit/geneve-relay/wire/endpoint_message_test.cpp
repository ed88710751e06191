#include "plugins/geneve-relay/wire/endpoint_message.hpp"

#include "plugins/geneve-relay/wire/geneve_header.hpp"
#include "tests/unit/geneve-relay/vectors.hpp"

namespace gatehouse::geneve_relay {
namespace {

Endpoint numbered(std::uint16_t port) { return {IpAddress::v4(0xc0000201), port}; }

TEST(AddressList, IsBounded) {
  AddressList list;
  EXPECT_TRUE(list.empty());
  for (std::uint16_t port = 1; port <= AddressList::kMost; ++port) EXPECT_TRUE(list.add(numbered(port)));
  const AddressList full = list;
  EXPECT_FALSE(list.add(numbered(1000)));
  EXPECT_EQ(list, full);
  EXPECT_EQ(list.size(), AddressList::kMost);
  EXPECT_EQ(list.all().back(), numbered(AddressList::kMost));
  EXPECT_NE(AddressList({numbered(1)}), AddressList({numbered(2)}));
  EXPECT_NE(AddressList({numbered(1)}), AddressList());
}

TEST(AddressList, SomeOfItAreOfBothFamilies) {
  const auto v6 = [](std::uint16_t port) { return *Endpoint::parse("[2001:db8::1]:" + std::to_string(port)); };
  const AddressList list = {numbered(1), numbered(2), numbered(3), v6(4), v6(5)};
  EXPECT_EQ(list.some(0), AddressList());
  EXPECT_EQ(list.some(1), AddressList({numbered(1)}));
  EXPECT_EQ(list.some(2), AddressList({numbered(1), v6(4)}));
  EXPECT_EQ(list.some(3), AddressList({numbered(1), numbered(2), v6(4)}));
  EXPECT_EQ(list.some(4), AddressList({numbered(1), numbered(2), v6(4), v6(5)}));
  EXPECT_EQ(list.some(5), list);
  EXPECT_EQ(list.some(99), list);
  EXPECT_EQ(AddressList({v6(1), v6(2), v6(3)}).some(2), AddressList({v6(1), v6(2)}));
  EXPECT_EQ(AddressList({v6(1), v6(2), numbered(3)}).some(2), AddressList({v6(1), numbered(3)}));
}

TEST(EndpointMessage, AFullListFitsAndMoreIsIgnored) {
  AllocationResponse response = read_allocation_response(datagram_of("alloc-response")).value();
  response.endpoint.addresses = {};
  for (std::uint16_t port = 1; port <= AddressList::kMost; ++port) response.endpoint.addresses.add(numbered(port));
  ByteVector wire(kLargestEndpointMessage);
  EXPECT_EQ(write_allocation_response(wire, response), wire.size());
  EXPECT_EQ(read_allocation_response(wire).value(), response);
  wire.resize(wire.size() + 18);
  EXPECT_EQ(read_allocation_response(wire).value(), response);
}

TEST(EndpointMessage, WhatCannotBeIsRefused) {
  const ByteVector wire = datagram_of("call-me-maybe-via");
  constexpr std::size_t kVni = 2 + 96 + 8, kBind = kVni + 4, kSteady = kBind + 8;
  const auto with = [&](std::size_t at, ByteVector bytes) {
    ByteVector out = wire;
    std::ranges::copy(bytes, out.begin() + static_cast<std::ptrdiff_t>(at));
    return read_call_me_maybe_via(out);
  };
  EXPECT_EQ(with(kVni, hex("00000000")).error(), make_error_code(Errc::malformed));
  EXPECT_EQ(with(kVni, hex("01000000")).error(), make_error_code(Errc::malformed));
  EXPECT_EQ(with(kVni, hex("00ffffff"))->vni, kLargestVni);
  for (const std::size_t at : {kBind, kSteady}) {
    EXPECT_EQ(with(at, hex("8000000000000000")).error(), make_error_code(Errc::malformed));
    EXPECT_TRUE(with(at, hex("7fffffffffffffff")).has_value());
  }
}

}  // namespace
}  // namespace gatehouse::geneve_relay
