#include "plugins/geneve-relay/server/relay_blob.hpp"

#include <gatehouse/testkit/hex.hpp>

#include <gtest/gtest.h>

namespace gatehouse::geneve_relay {
namespace {

RelayBlob some_blob() {
  RelayBlob out{4711, 77, DiscoPair(DiscoKey{{std::byte{1}}}, DiscoKey{{std::byte{2}}}), {}, "api"};
  out.legs[0] = {Endpoint::parse("[fe80::1%3]:41641").value(), IpAddress::parse("fe80::2").value(), 7500};
  out.legs[1] = {Endpoint::parse("192.0.2.1:41641").value(), IpAddress::parse("192.0.2.9").value(), 7501};
  return out;
}

TEST(RelayBlob, ComesBackAsItWas) {
  RelayBlob blob = some_blob();
  EXPECT_EQ(RelayBlob::read(RelayBlob::kVersion, blob.write()), blob);
  blob.vni = kLargestVni;
  blob.legs[1] = {};
  blob.listener = "";
  EXPECT_EQ(RelayBlob::read(RelayBlob::kVersion, blob.write()), blob);
}

/// Other versions read what this one has kept.
TEST(RelayBlob, IsWrittenAsItsHeaderSays) {
  const auto expected = testkit::hex(
      "00001267|000000000000004d"
      "|0100000000000000000000000000000000000000000000000000000000000000"
      "|0200000000000000000000000000000000000000000000000000000000000000"
      "|06|1d4c|a2a9|00000003|fe800000000000000000000000000001|fe800000000000000000000000000002"
      "|04|1d4d|a2a9|c0000201|c0000209"
      "|617069");
  EXPECT_EQ(some_blob().write(), expected);
  EXPECT_EQ(RelayBlob::read(RelayBlob::kVersion, expected), some_blob());
}

TEST(RelayBlob, OfTheFirstVersionIsReadToo) {
  const auto bytes = testkit::hex(
      "00001267|000000000000004d"
      "|0100000000000000000000000000000000000000000000000000000000000000"
      "|0200000000000000000000000000000000000000000000000000000000000000"
      "|1d4c|a2a9|00000003|06|fe800000000000000000000000000001|fe800000000000000000000000000002"
      "|1d4d|a2a9|00000000|04|c0000201000000000000000000000000|c0000209000000000000000000000000"
      "|617069");
  EXPECT_EQ(RelayBlob::read(1, bytes), some_blob());
  for (std::size_t size = 0; size + 3 < bytes.size(); ++size)
    EXPECT_FALSE(RelayBlob::read(1, Bytes(bytes).first(size))) << size;
}

TEST(RelayBlob, WhatIsDamagedIsNone) {
  const auto bytes = some_blob().write();
  EXPECT_FALSE(RelayBlob::read(RelayBlob::kVersion + 1, bytes));
  for (std::size_t size = 0; size + 3 < bytes.size(); ++size)
    EXPECT_FALSE(RelayBlob::read(RelayBlob::kVersion, Bytes(bytes).first(size))) << size;
  auto family = bytes;
  family[4 + 8 + 64] = std::byte{5};
  EXPECT_FALSE(RelayBlob::read(RelayBlob::kVersion, family));
  auto vni = bytes;
  vni[0] = std::byte{1};
  EXPECT_FALSE(RelayBlob::read(RelayBlob::kVersion, vni));
}

TEST(RelayBlob, ALongNameIsCutOff) {
  RelayBlob blob = some_blob();
  const std::string name(1000, 'x');
  blob.listener = name;
  EXPECT_EQ(RelayBlob::read(RelayBlob::kVersion, blob.write())->listener.size(), RelayBlob::kMostListenerName);
}

}  // namespace
}  // namespace gatehouse::geneve_relay
