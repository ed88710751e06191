#include "plugins/packet-tunnel/common/large_frame.hpp"

#include "plugins/packet-tunnel/common/features.hpp"
#include "tests/unit/sdk/packet/gathered.hpp"

#include <gatehouse/testkit/hex.hpp>

#include <gtest/gtest.h>

namespace gatehouse::packet_tunnel {
namespace {

using test::ByteVector;
using test::Made;
using testkit::hex;
using Kind = TunnelFrameReader::Kind;

constexpr std::size_t kMtu = 1500, kSegment = 1000;

const Made kBases[] = {{.payload = 5500},
                       {.version = 6, .payload = 5500},
                       {.protocol = 17, .payload = 5500},
                       {.version = 6, .protocol = 17, .payload = 5500}};

Result<std::uint32_t> segments_of(const ByteVector& packet, std::size_t segment = kSegment, std::size_t mtu = kMtu) {
  return count_segments(packet, IpPacket::parse(packet).value(), segment, mtu);
}

/// As the device gives it to the client or the server, on its way to the stream.
ByteVector written(FrameForm form, const Made& made, std::size_t segment = kSegment) {
  ByteVector packet = test::with_partial_checksum(test::make_packet(made), made);
  const OffloadHeader offload = test::made_offload(made, segment);
  ByteVector out(framed_size(offload, packet.size()));
  const auto done = write_frames(form, offload, packet, IpPacket::parse(packet).value(), kMtu, out);
  EXPECT_TRUE(done);
  if (!done) return {};
  EXPECT_EQ(done->packets, (made.payload + segment - 1) / segment);
  out.resize(done->bytes);
  return out;
}

/// What the frames of a read become on their way to the device.
test::GatheringSink taken(ByteVector in, FrameForm form = FrameForm::large) {
  test::GatheringSink sink;
  Coalescer coalescer(sink);
  TunnelFrameReader reader(in, kMtu, form);
  for (auto next = reader.next(); next.kind == Kind::frame; next = reader.next()) {
    const IpPacket facts = IpPacket::parse(next.packet).value();
    if (next.segment_size == 0)
      coalescer.add(next.packet, facts);
    else
      coalescer.add_super_packet(next.packet, facts, next.segment_size,
                                 count_segments(next.packet, facts, next.segment_size, kMtu).value());
  }
  coalescer.flush();
  EXPECT_EQ(reader.used(), in.size());
  return sink;
}

TEST(Features, AreAListOfNames) {
  for (const char* list :
       {"large-frames", " large-frames ", "later,large-frames", "later , large-frames,", ",,large-frames"})
    EXPECT_TRUE(names_feature(list, kLargeFrames)) << list;
  for (const char* list :
       {"", ",", "large", "large-frames2", "Large-Frames", "large-frames;q=1", "large frames", "large-\tframes"})
    EXPECT_FALSE(names_feature(list, kLargeFrames)) << list;
  EXPECT_FALSE(names_feature(std::nullopt, kLargeFrames));
}

TEST(LargeFrames, OfThePlainFormAreTheReferences) {
  for (const Made& made : kBases)
    EXPECT_EQ(written(FrameForm::plain, made), test::framed(test::made_segments(made, kSegment)));
  ByteVector in = hex("0000 0003 aabbcc 0000");
  TunnelFrameReader reader(in, kMtu, FrameForm::plain);
  for (const std::size_t size : {0U, 3U, 0U}) {
    const auto next = reader.next();
    EXPECT_EQ(next.kind, Kind::frame);
    EXPECT_EQ(next.packet.size(), size);
    EXPECT_EQ(next.segment_size, 0);
  }
  EXPECT_EQ(reader.next().kind, Kind::need_more);
}

TEST(LargeFrames, CarryASuperPacketInOnePiece) {
  for (const Made& made : kBases) {
    const ByteVector frame = written(FrameForm::large, made);
    const ByteVector packet = test::with_partial_checksum(test::make_packet(made), made);
    ByteVector expected = hex("0000 03e8");
    expected.push_back(static_cast<std::byte>(packet.size() >> 8));
    expected.push_back(static_cast<std::byte>(packet.size()));
    expected.insert(expected.end(), packet.begin(), packet.end());
    EXPECT_EQ(frame, expected);
  }
}

TEST(LargeFrames, ComeOutAsTheDeviceHadThem) {
  for (Made made : kBases)
    for (const std::uint8_t flags : {std::uint8_t{0x10}, std::uint8_t{0x19}, std::uint8_t{0xd0}}) {
      made.flags = flags;
      const auto sink = taken(written(FrameForm::large, made));
      ASSERT_EQ(sink.all.size(), 1U);
      OffloadHeader offload = test::made_offload(made, kSegment);
      offload.has_ecn = made.protocol == 6 && flags == 0xd0;
      EXPECT_EQ(sink.all[0].offload, offload);
      EXPECT_EQ(sink.all[0].packet, test::with_partial_checksum(test::make_packet(made), made));
      EXPECT_EQ(sink.cut(), test::made_segments(made, kSegment));
    }
}

TEST(LargeFrames, DoNotBelieveAChecksumField) {
  for (const Made& made : kBases) {
    ByteVector frame = written(FrameForm::large, made);
    const std::size_t at = kLargeHeadSize + test::made_transport(made) + (made.protocol == 17 ? 6 : 16);
    test::put<std::uint16_t>(frame, at, 0xbeef);
    EXPECT_EQ(taken(frame).cut(), test::made_segments(made, kSegment));
  }
}

TEST(LargeFrames, KeepAFlowsOrderBetweenSinglePackets) {
  const auto sequence = [](std::uint32_t at, std::size_t payload) {
    return Made{.payload = payload, .id = static_cast<std::uint16_t>(at), .sequence = 1000 + at};
  };
  std::vector<ByteVector> expected;
  ByteVector in;
  const auto append = [&](const Made& made, FrameForm form) {
    const ByteVector frames = written(form, made);
    in.insert(in.end(), frames.begin(), frames.end());
    for (ByteVector& one : test::made_segments(made, kSegment)) expected.push_back(std::move(one));
  };
  append(sequence(0, 2000), FrameForm::plain);
  append(sequence(2000, 5000), FrameForm::large);
  append(sequence(7000, 3000), FrameForm::plain);
  const auto sink = taken(in);
  EXPECT_EQ(sink.shape(), "2 5 3");
  EXPECT_EQ(sink.cut(), expected);
}

TEST(LargeFrames, AreCutWhereTheOtherEndWouldRefuseThem) {
  const struct {
    const char* name;
    Made made;
    std::size_t segment;
  } cases[] = {
      {"a query", {.protocol = 17, .payload = 5500, .destination_port = 53}, kSegment},
      {"TCP to a resolver", {.payload = 5500, .destination_port = 53}, kSegment},
      {"SYN", {.payload = 5500, .flags = 0x02}, kSegment},
      {"too many of UDP", {.protocol = 17, .payload = 6500}, 100},
      {"too many of TCP", {.payload = 129 * 60}, 60},
      {"more headers than payload", {.payload = 1000}, 39},
      {"one segment", {.payload = 900}, kSegment},
  };
  for (const auto& one : cases)
    EXPECT_EQ(written(FrameForm::large, one.made, one.segment),
              test::framed(test::made_segments(one.made, one.segment)))
        << one.name;
}

TEST(LargeFrames, AreCutWhereTheDeviceSaysSomethingElse) {
  const Made made = kBases[0];
  OffloadHeader whole = test::made_offload(made, kSegment);
  whole.needs_checksum = false;
  ByteVector packet = test::make_packet(made), out(framed_size(whole, packet.size()));
  const auto done = write_frames(FrameForm::large, whole, packet, IpPacket::parse(packet).value(), kMtu, out);
  ASSERT_TRUE(done);
  out.resize(done->bytes);
  EXPECT_EQ(out, test::framed(test::made_segments(made, kSegment)));
}

TEST(LargeFrames, LeaveASinglePacketAsItWas) {
  ByteVector packet = test::make_packet({}), out(framed_size({}, packet.size()));
  ASSERT_TRUE(write_frames(FrameForm::large, {}, packet, IpPacket::parse(packet).value(), kMtu, out));
  EXPECT_EQ(out, test::framed({packet}));
}

TEST(LargeFrames, WriteNothingWhereThereIsNoRoom) {
  ByteVector packet = test::with_partial_checksum(test::make_packet(kBases[0]), kBases[0]);
  ByteVector out(kLargeHeadSize + packet.size() - 1);
  const auto done = write_frames(FrameForm::large, test::made_offload(kBases[0], kSegment), packet,
                                 IpPacket::parse(packet).value(), kMtu, out);
  EXPECT_EQ(done.error(), Errc::oversize);
  EXPECT_EQ(out, ByteVector(out.size()));
}

TEST(LargeFrames, AreWholeOrNotThere) {
  const ByteVector frame = written(FrameForm::large, {.payload = 2100});
  ByteVector in = hex("00000000 0003aabbcc");
  in.insert(in.end(), frame.begin(), frame.end());
  for (std::size_t size = 0; size <= in.size(); ++size) {
    ByteVector part(in.begin(), in.begin() + static_cast<std::ptrdiff_t>(size));
    TunnelFrameReader reader(part, kMtu, FrameForm::large);
    std::size_t frames = 0, used = 0;
    for (auto next = reader.next(); next.kind == Kind::frame; next = reader.next()) {
      ++frames;
      used = reader.used();
      EXPECT_EQ(next.packet.empty(), frames == 1) << "I am here";
      EXPECT_EQ(next.segment_size, frames == 3 ? kSegment : 0);
    }
    EXPECT_EQ(frames, size == in.size() ? 3U : size >= 9 ? 2U : size >= 4 ? 1U : 0U) << size;
    EXPECT_EQ(reader.used(), used);
    EXPECT_EQ(reader.next().kind, Kind::need_more);
  }
}

TEST(LargeFrames, HoldSinglePacketsToTheMtuAlone) {
  ByteVector in = hex("05dd");
  EXPECT_EQ(TunnelFrameReader(in, kMtu, FrameForm::large).next().kind, Kind::oversize);
  in = hex("0000 0001 ffff");
  in.resize(kLongestLargeFrame);
  const auto next = TunnelFrameReader(in, kMtu, FrameForm::large).next();
  EXPECT_EQ(next.kind, Kind::frame);
  EXPECT_EQ(next.packet.size(), kLongestFrame);
}

TEST(SuperPackets, AreCountedInSegments) {
  for (const Made& made : kBases) {
    const ByteVector packet = test::make_packet(made);
    const std::size_t headers = test::made_header(made);
    EXPECT_EQ(segments_of(packet).value(), 6U);
    EXPECT_EQ(segments_of(packet, 1100).value(), 5U);
    EXPECT_EQ(segments_of(packet, 5499, kLongestFrame).value(), 2U);
    EXPECT_EQ(segments_of(packet, kMtu - headers).value(), 4U);
    EXPECT_EQ(segments_of(packet, kMtu - headers + 1).error(), Errc::oversize);
    EXPECT_EQ(segments_of(packet, 0).error(), Errc::malformed);
    EXPECT_EQ(segments_of(packet, 5500, kLongestFrame).error(), Errc::malformed) << "it is a single packet";
    EXPECT_EQ(segments_of(packet, 1).error(), Errc::malformed) << "thousands";
    EXPECT_EQ(segments_of(packet, headers - 1).error(), Errc::malformed) << "more headers than payload";
    const std::size_t most = made.protocol == 17 ? kMostUdpSegments : kMostTcpSegments;
    Made many = made;
    many.payload = most * headers;
    EXPECT_EQ(segments_of(test::make_packet(many), headers).value(), most);
    ++many.payload;
    EXPECT_EQ(segments_of(test::make_packet(many), headers).error(), Errc::malformed);
  }
}

TEST(SuperPackets, HaveHeadersThatAllSegmentsCanHave) {
  const struct {
    const char* name;
    Made made;
  } wrong[] = {
      {"SYN", {.payload = 5500, .flags = 0x12}},
      {"RST", {.payload = 5500, .flags = 0x14}},
      {"a query", {.protocol = 17, .payload = 5500, .destination_port = 53}},
      {"TCP to a resolver", {.version = 6, .payload = 5500, .destination_port = 53}},
      {"no transport", {.protocol = 1, .payload = 5500}},
      {"a first fragment", {.payload = 5500, .fragment = 0x2000}},
      {"a later fragment", {.payload = 5500, .fragment = 0x0007}},
      {"options", {.payload = 5500, .ip_options = "01010101"}},
      {"extensions", {.version = 6, .payload = 5500, .extensions = "0600000000000000"}},
      {"no payload", {.payload = 0}},
  };
  for (const auto& one : wrong)
    EXPECT_EQ(segments_of(test::make_packet(one.made)).error(), Errc::malformed) << one.name;
  ByteVector packet = test::make_packet({.payload = 5500});
  packet[10] ^= std::byte{1};
  EXPECT_EQ(segments_of(packet).error(), Errc::malformed) << "a wrong IPv4 header";
  packet = test::make_packet({.protocol = 17, .payload = 5500});
  test::put<std::uint16_t>(packet, 24, 5507);
  EXPECT_EQ(segments_of(packet).error(), Errc::malformed) << "a shorter datagram than the packet has room for";
}

}  // namespace
}  // namespace gatehouse::packet_tunnel
