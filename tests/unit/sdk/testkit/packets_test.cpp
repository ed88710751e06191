#include <gatehouse/testkit/packets.hpp>

#include <gatehouse/packet/ip_packet.hpp>

#include <gtest/gtest.h>

namespace gatehouse {
namespace {

IpAddress address(const char* text) { return IpAddress::parse(text).value(); }

struct Ends {
  const char *source, *destination;
};

class Packets : public testing::TestWithParam<Ends> {
 protected:
  const IpAddress source = address(GetParam().source), destination = address(GetParam().destination);

  /// The packet's facts, after a look at what every packet has.
  IpPacket right(const testkit::ByteVector& packet) const {
    const auto facts = IpPacket::parse(packet).value();
    EXPECT_EQ(facts.source_address(packet), source);
    EXPECT_EQ(facts.destination_address(packet), destination);
    EXPECT_EQ(facts.size, packet.size());
    EXPECT_TRUE(has_right_header_checksum(facts, packet));
    EXPECT_TRUE(has_right_checksum(facts, packet));
    return facts;
  }
};

INSTANTIATE_TEST_SUITE_P(BothFamilies, Packets,
                         testing::Values(Ends{"192.0.2.1", "198.51.100.7"}, Ends{"2001:db8::1", "fd00::7"}));

TEST_P(Packets, APingIsWhole) {
  const IpPacket facts = right(testkit::ping_packet(source, destination, 4711, bytes_of("odd")));
  EXPECT_TRUE(facts.is_icmp_echo());
  EXPECT_EQ(facts.icmp_id, 4711);
  EXPECT_EQ(facts.payload_size(), 3u);
}

TEST_P(Packets, ADatagramIsWhole) {
  const IpPacket facts = right(testkit::udp_packet({source, 1000}, {destination, 53}, bytes_of("payload")));
  EXPECT_TRUE(facts.is_udp());
  EXPECT_EQ(facts.source_port, 1000);
  EXPECT_EQ(facts.destination_port, 53);
  EXPECT_EQ(facts.payload_size(), 7u);
}

}  // namespace
}  // namespace gatehouse
