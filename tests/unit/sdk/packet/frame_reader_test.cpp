#include <gatehouse/packet/frame_reader.hpp>
#include <gatehouse/testkit/hex.hpp>

#include <gtest/gtest.h>

namespace gatehouse {
namespace {

using testkit::ByteVector;
using testkit::hex;
using Kind = FrameReader::Kind;

TEST(FrameReader, TakesFramesBackToBack) {
  ByteVector in = hex("0003 450102 0001 60");  // F1 of the protocol file
  FrameReader reader(in, 1500);
  auto next = reader.next();
  EXPECT_EQ(next.kind, Kind::frame);
  EXPECT_EQ(ByteVector(next.packet.begin(), next.packet.end()), hex("450102"));
  next = reader.next();
  EXPECT_EQ(next.kind, Kind::frame);
  EXPECT_EQ(ByteVector(next.packet.begin(), next.packet.end()), hex("60"));
  EXPECT_EQ(reader.used(), in.size());
  EXPECT_EQ(reader.next().kind, Kind::need_more);
}

TEST(FrameReader, TakesAnEmptyFrame) {
  ByteVector in = hex("0000 0001 45");  // F2
  FrameReader reader(in, 1500);
  const auto next = reader.next();
  EXPECT_EQ(next.kind, Kind::frame);
  EXPECT_TRUE(next.packet.empty());
  EXPECT_EQ(reader.used(), 2U);
  EXPECT_EQ(reader.next().kind, Kind::frame);
}

TEST(FrameReader, KeepsAFrameThatIsCutAnywhere) {
  const ByteVector whole = hex("0002 4501 0003 450102");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    ByteVector in(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    FrameReader reader(in, 1500);
    while (reader.next().kind == Kind::frame) {
    }
    EXPECT_EQ(reader.next().kind, Kind::need_more);
    EXPECT_EQ(reader.used(), size < 4 ? 0U : 4U);
  }
}

TEST(FrameReader, EndsAtALengthAboveTheMtu) {
  for (const auto& [length, kind] : {std::pair{"05dc", Kind::need_more}, std::pair{"05dd", Kind::oversize}}) {  // F3
    ByteVector in = hex(length);
    FrameReader reader(in, 1500);
    EXPECT_EQ(reader.next().kind, kind);
    EXPECT_EQ(reader.next().kind, kind);
    EXPECT_EQ(reader.used(), 0U);
  }
}

TEST(FrameReader, TakesTheLongestFrame) {
  for (const std::size_t mtu : {std::size_t{65535}, std::size_t{65536}, ~std::size_t{0}}) {
    ByteVector in(2 + 65535);
    in[0] = in[1] = std::byte{0xff};
    FrameReader reader(in, mtu);
    const auto next = reader.next();
    EXPECT_EQ(next.kind, Kind::frame);
    EXPECT_EQ(next.packet.size(), 65535U);
  }
}

}  // namespace
}  // namespace gatehouse
