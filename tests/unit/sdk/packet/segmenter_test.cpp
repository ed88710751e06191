#include <gatehouse/packet/segmenter.hpp>

#include <gatehouse/packet/frame_reader.hpp>

#include "tests/unit/allocations.hpp"
#include "tests/unit/sdk/packet/made_super_packet.hpp"

#include <gtest/gtest.h>

#include <random>

namespace gatehouse {
namespace {

using test::ByteVector;
using test::Made;
using test::make_packet;

/// The frames, out of a buffer of just their size; empty for an error.
ByteVector cut(const OffloadHeader& offload, ByteVector packet, Error* error = nullptr) {
  ByteVector out(framed_size(offload, packet.size()));
  const auto done = cut_into_frames(offload, packet, out);
  if (error != nullptr) *error = done ? Error() : done.error();
  out.resize(done ? done->bytes : 0);
  return out;
}

Error error_of(const OffloadHeader& offload, const ByteVector& packet) {
  Error error;
  cut(offload, packet, &error);
  return error;
}

ByteVector super_packet(const Made& made) { return test::with_partial_checksum(make_packet(made), made); }

const Made kSupers[] = {
    {.payload = 5000},
    {.payload = 5000, .id = 0xfffe, .flags = 0x19, .options = "0101080a0000000100000002"},
    {.payload = 5000, .ip_options = "94040000"},
    {.version = 6, .payload = 5000, .traffic_class = 0xb9, .flow_label = 0x12345},
    {.version = 6, .payload = 5000, .sequence = 0xfffff000, .flags = 0x98},
    {.version = 6, .payload = 5000, .extensions = "0600000000000000", .first_extension = 0},
    {.protocol = 17, .payload = 5000},
    {.version = 6, .protocol = 17, .payload = 5000},
    {.version = 6, .protocol = 17, .payload = 5000, .extensions = "1100000000000000", .first_extension = 60},
};

TEST(Segmenter, CutsIntoThePacketsThatTheSuperPacketIsOf) {
  for (const Made& super : kSupers)
    for (const std::size_t segment : {1448U, 1000U, 999U, 5000U, 4999U, 1U, 9000U}) {
      Made made = super;
      if (segment == 1) made.payload = 20;
      EXPECT_EQ(cut(test::made_offload(made, segment), super_packet(made)),
                test::framed(test::made_segments(made, segment)))
          << made.version << ' ' << made.protocol << ' ' << segment;
    }
}

TEST(Segmenter, CountsWhatItWrites) {
  const Made made{.payload = 5000};
  ByteVector packet = super_packet(made), out(10'000);
  const CutFrames done = cut_into_frames(test::made_offload(made, 1448), packet, out).value();
  EXPECT_EQ(done.packets, 4U);
  EXPECT_EQ(done.bytes, 5000 + 4 * (2 + 40U));
}

TEST(Segmenter, CutsPropertyByPropertyRightWhateverTheSizes) {
  std::mt19937 random(7);
  for (int i = 0; i < 3000; ++i) {
    Made made{.version = i % 2 == 0 ? 4U : 6U,
              .protocol = i % 4 < 2 ? 6U : 17U,
              .payload = 1 + random() % 4000,
              .fill = static_cast<std::uint8_t>(random()),
              .id = static_cast<std::uint16_t>(random()),
              .sequence = static_cast<std::uint32_t>(random()),
              .acknowledgement = static_cast<std::uint32_t>(random()),
              .flags = static_cast<std::uint8_t>(random())};
    const std::size_t segment = 1 + random() % 1500;
    ByteVector frames = cut(test::made_offload(made, segment), super_packet(made));
    ASSERT_EQ(frames, test::framed(test::made_segments(made, segment))) << i;
    FrameReader reader(frames, 1600);
    for (auto next = reader.next(); next.kind == FrameReader::Kind::frame; next = reader.next())
      ASSERT_TRUE(test::has_right_checksums(next.packet)) << i;
    ASSERT_EQ(reader.used(), frames.size());
  }
}

TEST(Segmenter, OfUdpWritesAZeroChecksumAsTheOtherZero) {
  // 65,536 payloads of one word are all checksums there are.
  unsigned seen = 0;
  Made made{.protocol = 17, .payload = 4};
  const ByteVector model = super_packet(made);
  for (unsigned word = 0; word < 65536; ++word) {
    ByteVector packet = model;
    test::put<std::uint16_t>(packet, 28, static_cast<std::uint16_t>(word));
    const ByteVector out = cut(test::made_offload(made, 2), packet);
    const auto checksum = load_big<std::uint16_t>(Bytes(out).subspan(2 + 26));
    ASSERT_NE(checksum, 0);
    seen += checksum == 0xffff ? 1 : 0;
  }
  EXPECT_EQ(seen, 1U);
}

TEST(Segmenter, DoesNotBelieveTheHeaderSize) {
  const Made made{.payload = 3000};
  OffloadHeader offload = test::made_offload(made, 1448);
  for (const std::uint16_t wrong : std::initializer_list<std::uint16_t>{0, 3040, 65535}) {
    offload.header_size = wrong;
    EXPECT_EQ(cut(offload, super_packet(made)), test::framed(test::made_segments(made, 1448)));
  }
}

TEST(Segmenter, DoesNotUseTheLengthsOfTheSuperPacket) {
  for (const Made& made :
       {Made{.protocol = 17, .payload = 3000}, Made{.version = 6, .protocol = 17, .payload = 3000}}) {
    ByteVector packet = super_packet(made);
    test::put<std::uint16_t>(packet, made.version == 4 ? 2 : 4, 0);
    test::put<std::uint16_t>(packet, test::made_transport(made) + 4, 77);
    EXPECT_EQ(cut(test::made_offload(made, 1000), packet), test::framed(test::made_segments(made, 1000)));
  }
}

TEST(Segmenter, FinishesAPartialChecksum) {
  for (const Made& made : kSupers) {
    OffloadHeader offload = test::made_offload(made, 0);
    offload.kind = OffloadHeader::Kind::none;
    EXPECT_EQ(cut(offload, super_packet(made)), test::framed({make_packet(made)}));
    EXPECT_EQ(cut({}, make_packet(made)), test::framed({make_packet(made)}));
  }
}

TEST(Segmenter, FinishesAZeroUdpChecksumAsTheOtherZero) {
  Made made{.protocol = 17, .payload = 2};
  OffloadHeader offload = test::made_offload(made, 0);
  offload.kind = OffloadHeader::Kind::none;
  unsigned seen = 0;
  for (unsigned word = 0; word < 65536; ++word) {
    ByteVector packet = super_packet(made);
    test::put<std::uint16_t>(packet, 28, static_cast<std::uint16_t>(word));
    const auto checksum = load_big<std::uint16_t>(Bytes(cut(offload, packet)).subspan(2 + 26));
    ASSERT_NE(checksum, 0);
    seen += checksum == 0xffff ? 1 : 0;
  }
  EXPECT_EQ(seen, 1U);
}

TEST(Segmenter, RefusesWhatCannotBeTrue) {
  const Made made{.payload = 3000};
  const OffloadHeader good = test::made_offload(made, 1448);
  const ByteVector packet = super_packet(made);
  ASSERT_EQ(error_of(good, packet), Error());
  const auto with = [&](auto change) {
    OffloadHeader bad = good;
    change(bad);
    EXPECT_EQ(largest_cut(bad, packet), 0U);
    return error_of(bad, packet);
  };
  EXPECT_EQ(with([](OffloadHeader& bad) { bad.segment_size = 0; }), Errc::malformed);
  EXPECT_EQ(with([](OffloadHeader& bad) { bad.kind = OffloadHeader::Kind::tcp6; }), Errc::malformed);
  EXPECT_EQ(with([](OffloadHeader& bad) { bad.kind = OffloadHeader::Kind::udp, bad.checksum_offset = 6; }),
            Errc::malformed);
  EXPECT_EQ(with([](OffloadHeader& bad) { bad.checksum_offset = 6; }), Errc::malformed);
  EXPECT_EQ(with([](OffloadHeader& bad) { bad.checksum_offset = 65535; }), Errc::malformed);
  for (const std::uint16_t start : std::initializer_list<std::uint16_t>{0, 19, 24, 40, 3020, 3039, 3040, 65535})
    EXPECT_EQ(with([&](OffloadHeader& bad) { bad.checksum_start = start; }), Errc::malformed) << start;
}

TEST(Segmenter, RefusesAnotherTransportThanTheHeadersName) {
  for (const Made& made : {Made{.payload = 300}, Made{.version = 6, .payload = 300}}) {
    ByteVector packet = super_packet(made);
    const std::size_t at = made.version == 4 ? 9 : 6;
    OffloadHeader offload = test::made_offload(made, 100);
    offload.kind = OffloadHeader::Kind::udp;
    offload.checksum_offset = 6;
    EXPECT_EQ(error_of(offload, packet), Errc::malformed);
    packet[at] = std::byte{17};
    EXPECT_EQ(error_of(offload, packet), Error());
    offload.checksum_start += 8;
    for (const unsigned next : {6U, 17U}) {
      packet[at] = static_cast<std::byte>(next);
      EXPECT_EQ(error_of(offload, packet), Errc::malformed);
    }
    packet[at] = std::byte{60};  // whatever it is, it is no transport
    EXPECT_EQ(error_of(offload, packet), made.version == 4 ? Error(Errc::malformed) : Error());
  }
}

TEST(Segmenter, RefusesAnImpossibleDataOffset) {
  for (unsigned words = 0; words < 16; ++words) {
    const Made made{.payload = 39};
    ByteVector packet = super_packet(made);
    packet[32] = static_cast<std::byte>(words << 4);
    const Error error = error_of(test::made_offload(made, 10), packet);
    EXPECT_EQ(error, words < 5 || words > 14 ? Error(Errc::malformed) : Error()) << words;  // 15: no payload is left
  }
}

TEST(Segmenter, RefusesASuperPacketCutShort) {
  for (const Made& made : kSupers) {
    const ByteVector packet = super_packet(made);
    for (std::size_t size = 0; size <= test::made_header(made); ++size)
      EXPECT_EQ(error_of(test::made_offload(made, 1448),
                         ByteVector(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(size))),
                Errc::malformed);
  }
}

TEST(Segmenter, RefusesAChecksumFieldBeyondThePacket) {
  OffloadHeader offload;
  offload.needs_checksum = true;
  const ByteVector packet = make_packet({.payload = 10});
  for (unsigned field = 0; field < 120; ++field)
    for (const unsigned start : {0U, 20U, 48U, 49U, 60U}) {
      offload.checksum_start = static_cast<std::uint16_t>(start);
      offload.checksum_offset = static_cast<std::uint16_t>(field);
      EXPECT_EQ(error_of(offload, packet), start + field + 2 > 50 ? Error(Errc::malformed) : Error());
    }
  offload.checksum_start = offload.checksum_offset = 65535;
  EXPECT_EQ(error_of(offload, packet), Errc::malformed);
}

TEST(Segmenter, WritesNothingBeyondTheRoomThereIs) {
  const Made made{.payload = 3000};
  const OffloadHeader offload = test::made_offload(made, 1448);
  const std::size_t needed = test::framed(test::made_segments(made, 1448)).size();
  for (const std::size_t room : {std::size_t{0}, std::size_t{1}, needed - 1, needed}) {
    ByteVector packet = super_packet(made), out(room);
    const auto done = cut_into_frames(offload, packet, out);
    EXPECT_EQ(done.has_value(), room == needed);
    if (!done) {
      EXPECT_EQ(done.error(), Errc::oversize);
      EXPECT_EQ(packet, super_packet(made));  // the caller may come again with more room
    }
    ByteVector single = make_packet(made), small(std::min(room, single.size() + 1));
    EXPECT_EQ(cut_into_frames({}, single, small).error(), Errc::oversize);
  }
}

TEST(Segmenter, RefusesAPacketThatALengthCannotSay) {
  Made made{.version = 6, .payload = 65535};
  made.payload = 65536 - 60;
  EXPECT_EQ(error_of({}, make_packet(made)), Errc::oversize);
  --made.payload;
  EXPECT_EQ(error_of({}, make_packet(made)), Error());
}

TEST(Segmenter, TellsTheLargestPacketBeforeItCuts) {
  for (const Made& made : kSupers) {
    const ByteVector packet = super_packet(made);
    EXPECT_EQ(largest_cut(test::made_offload(made, 1448), packet), test::made_header(made) + 1448);
    EXPECT_EQ(largest_cut(test::made_offload(made, 6000), packet), packet.size());
    EXPECT_EQ(largest_cut({}, packet), packet.size());
  }
}

TEST(Segmenter, AsksForLittleMoreRoomThanItUses) {
  const Made made{.payload = 65000};
  const OffloadHeader offload = test::made_offload(made, 1448);
  const ByteVector packet = super_packet(made);
  const std::size_t used = cut(offload, packet).size(), asked = framed_size(offload, packet.size());
  EXPECT_GE(asked, used);
  EXPECT_LE(asked, used + used / 32);
}

TEST(Segmenter, AllocatesNothing) {
  const Made made{.payload = 30000};
  ByteVector packet = super_packet(made), out(40'000);
  const OffloadHeader offload = test::made_offload(made, 1448);
  const std::size_t before = allocations();
  (void)cut_into_frames(offload, packet, out);
  EXPECT_EQ(allocations(), before);
}

}  // namespace
}  // namespace gatehouse
