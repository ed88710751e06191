#include "tests/unit/packet-tunnel/server/tunnel_rig.hpp"

#include <gtest/gtest.h>

namespace gatehouse::packet_tunnel {
namespace {

using testkit::hex;

/// V1 and V2 of the protocol's vectors: a SYN of the client's, and an answer.
constexpr const char* kUp = "450000281c4640004006483eac100001c63364079c4001bb01020304000000005002faf03ca40000";
constexpr const char* kDown = "4500002b1c4640004006b5e4c63364070a12345601bb9c4001020304000000005002faf020e10000686921";

std::uint64_t carried(const TunnelRig& rig) {
  return rig.host.metric(R"(packets{direction="down",protocol="tcp",ip="4"})");
}

/// Each packet for a client is counted once: as carried, or by what became of it.
TEST(DownstreamCounts, AddUpWhereAClientDoesNotRead) {
  in_own_network([] {
    TunnelRig rig;
    const TunnelStream client = rig.open();
    client.send(hex(kUp));
    ASSERT_FALSE(rig.device.next().empty());
    ByteVector packet = hex(kDown);
    packet.resize(1500);
    store_big<std::uint16_t>(MutableBytes(packet).subspan(2), 1500);
    constexpr std::uint64_t kSent = 20'000;  // 30 MB, of which 4 wait at most
    for (std::uint64_t i = 0; i < kSent; ++i) {
      rig.device.send(packet);
      if (i % 200 == 199) {
        ASSERT_TRUE(eventually([&] { return rig.host.metric("device_reads") >= i - 100; }));
      }
    }
    const auto lost = [&] { return rig.rejected(Reject::queue_full) + rig.rejected(Reject::early); };
    EXPECT_TRUE(eventually([&] { return rig.host.metric("device_reads") >= kSent; }));
    EXPECT_GT(lost(), kSent / 2);
    EXPECT_LT(carried(rig), kSent / 2) << "what was lost was not carried";
    rig.plugin.stop();
    EXPECT_EQ(carried(rig) + lost() + rig.rejected(Reject::stream_ended), kSent);
  });
}

}  // namespace
}  // namespace gatehouse::packet_tunnel
