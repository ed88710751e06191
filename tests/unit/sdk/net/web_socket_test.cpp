#include <gatehouse/net/web_socket.hpp>
#include <gatehouse/testkit/hex.hpp>

#include "tests/unit/allocations.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace gatehouse {
namespace {

using testkit::ByteVector;
using testkit::hex;
using Kind = WebSocketReader::Kind;

constexpr auto kServer = WebSocketRole::server, kClient = WebSocketRole::client;
constexpr WebSocketMask kMask = {std::byte{0x37}, std::byte{0xfa}, std::byte{0x21}, std::byte{0x3d}};

/// What came of a stream: its bytes, its control frames in words, and how it ended.
struct Seen {
  std::string data, controls;
  Error error;
  std::uint16_t close_code = 0;
  std::size_t unused = 0;  ///< bytes of an incomplete frame
  bool operator==(const Seen&) const = default;
};

void PrintTo(const Seen& seen, std::ostream* out) {
  *out << '"' << seen.data << "\" " << seen.controls << ' ' << seen.error.message() << ' ' << seen.close_code << " +"
       << seen.unused;
}

void note(Seen& seen, const WebSocketReader::Part& part) {
  const std::string text(text_of(part.payload));
  if (part.kind == Kind::data) seen.data += text;
  if (part.kind == Kind::ping) seen.controls += "ping(" + text + ')';
  if (part.kind == Kind::pong) seen.controls += "pong(" + text + ')';
  if (part.kind == Kind::close) seen.controls += "close(" + std::to_string(part.close_code) + text + ')';
}

/// Gives `wire` to a reader in pieces that end at `cuts`, as reads would bring them.
Seen read(WebSocketRole role, const ByteVector& wire, std::vector<std::size_t> cuts = {}) {
  Seen seen;
  WebSocketReader reader(role);
  ByteVector waiting;
  cuts.push_back(wire.size());
  std::size_t begin = 0;
  for (const std::size_t end : cuts) {
    waiting.insert(waiting.end(), wire.data() + begin, wire.data() + end);
    begin = end;
    for (;;) {
      ByteVector in = waiting;  // of its size, so that AddressSanitizer sees a byte too many
      const auto part = reader.next(in);
      if (!part) {
        if (part.error() == Errc::closed && waiting.empty()) break;
        seen.error = part.error();
        seen.close_code = reader.close_code();
        return seen;
      }
      if (part->kind == Kind::incomplete) break;
      note(seen, *part);
      waiting.assign(in.begin() + static_cast<std::ptrdiff_t>(part->used), in.end());
    }
  }
  seen.unused = waiting.size();
  return seen;
}

struct Valid {
  const char* name;
  WebSocketRole role;
  const char* wire;
  const char* data;
  const char* controls;
};

constexpr Valid kValid[] = {
    // RFC 6455, 5.7, as binary where it has text.
    {"Unmasked", kClient, "82|05|48656c6c6f", "Hello", ""},
    {"Masked", kServer, "82|85|37fa213d|7f9f4d5158", "Hello", ""},
    {"Fragmented", kClient, "02|03|48656c|80|02|6c6f", "Hello", ""},
    {"UnmaskedPing", kClient, "89|05|48656c6c6f", "", "ping(Hello)"},
    {"MaskedPong", kServer, "8a|85|37fa213d|7f9f4d5158", "", "pong(Hello)"},
    // Ours.
    {"Empty", kClient, "82|00", "", ""},
    {"EmptyMasked", kServer, "82|80|37fa213d", "", ""},
    {"EmptyFragments", kClient, "02|00|00|00|80|00|82|01|41", "A", ""},
    {"ThreeFragmentsWithPingsBetween", kServer,
     "02|83|37fa213d|7f9f4d|89|80|00000000|00|81|00000000|6c|89|81|01020304|40|80|81|01000000|6e", "Hello",
     "ping()ping(A)"},
    {"ManyFrames", kServer, "82|81|00000000|61|82|82|ffffffff|9d9c|82|80|01010101|82|81|01010101|65", "abcd", ""},
    {"CloseWithoutCode", kClient, "82|01|41|88|00", "A", "close(1005)"},
    {"CloseWithCode", kServer, "88|82|00000000|03e8", "", "close(1000)"},
    {"CloseWithReason", kClient, "88|05|03e9|627965", "", "close(1001bye)"},
    {"CloseInsideAMessage", kClient, "02|01|41|88|02|0bb8", "A", "close(3000)"},
};

class ValidWebSocket : public testing::TestWithParam<Valid> {
 protected:
  const ByteVector wire_ = hex(GetParam().wire);
  const Seen expected_{GetParam().data, GetParam().controls, {}, 0, 0};
};

TEST_P(ValidWebSocket, IsRead) { EXPECT_EQ(read(GetParam().role, wire_), expected_); }

TEST_P(ValidWebSocket, IsTheSameHoweverItIsCut) {
  std::vector<std::size_t> everywhere;
  for (std::size_t first = 0; first <= wire_.size(); ++first) {
    everywhere.push_back(first);
    for (std::size_t second = first; second <= wire_.size(); ++second)
      EXPECT_EQ(read(GetParam().role, wire_, {first, second}), expected_) << first << ", " << second;
  }
  EXPECT_EQ(read(GetParam().role, wire_, everywhere), expected_);
}

TEST_P(ValidWebSocket, IsNeverAnErrorWhileItIsIncomplete) {
  for (std::size_t n = 0; n < wire_.size(); ++n) {
    const Seen seen = read(GetParam().role, ByteVector(wire_.data(), wire_.data() + n));
    EXPECT_FALSE(seen.error) << "at byte " << n;
    EXPECT_TRUE(expected_.data.starts_with(seen.data)) << "at byte " << n;
    EXPECT_TRUE(expected_.controls.starts_with(seen.controls)) << "at byte " << n;
    EXPECT_LT(seen.unused, kLongestControlFrame);
  }
}

TEST_P(ValidWebSocket, IsRefusedByTheOtherRole) {
  const Seen seen = read(GetParam().role == kServer ? kClient : kServer, wire_);
  EXPECT_EQ(seen.error, Errc::malformed);
  EXPECT_EQ(seen.close_code, kCloseProtocolError);
}

INSTANTIATE_TEST_SUITE_P(Vectors, ValidWebSocket, testing::ValuesIn(kValid),
                         [](const auto& test) { return test.param.name; });

struct Invalid {
  const char* name;
  WebSocketRole role;
  const char* wire;
  const char* data;  ///< what came before
  std::uint16_t close_code = kCloseProtocolError;
};

constexpr Invalid kInvalid[] = {
    {"TextOfTheRfc", kClient, "81|05|48656c6c6f", "", kCloseNotBinary},
    {"MaskedTextOfTheRfc", kServer, "81|85|37fa213d|7f9f4d5158", "", kCloseNotBinary},
    {"FragmentedText", kClient, "01|03|48656c|80|02|6c6f", "", kCloseNotBinary},
    {"TextByItsFirstByte", kClient, "81", "", kCloseNotBinary},
    {"TextInsideABinaryMessage", kClient, "02|01|41|81|00", "A"},
    {"Rsv1", kClient, "c2|00", ""},
    {"Rsv2", kClient, "a2|00", ""},
    {"Rsv3", kClient, "92|00", ""},
    {"RsvOfAControlFrame", kClient, "c9|00", ""},
    {"Opcode3", kClient, "83|00", ""},
    {"Opcode7", kClient, "87|00", ""},
    {"OpcodeB", kClient, "8b|00", ""},
    {"OpcodeF", kClient, "8f|00", ""},
    {"UnmaskedAtAServer", kServer, "82|00", ""},
    {"MaskedAtAClient", kClient, "82|80", ""},
    {"FragmentedPing", kClient, "09|00", ""},
    {"FragmentedClose", kClient, "08|00", ""},
    {"PingOf126", kClient, "89|7e|007e", ""},
    {"PingOf64Bits", kClient, "89|7f", ""},
    {"ContinuationFirst", kClient, "80|01|41", ""},
    {"ContinuationAfterTheLast", kClient, "02|01|41|80|01|42|80|01|43", "AB"},
    {"BinaryInsideAMessage", kClient, "02|01|41|82|01|42", "A"},
    {"Length125In16Bits", kClient, "82|7e|007d", ""},
    {"Length0In16Bits", kClient, "82|7e|0000", ""},
    {"Length65535In64Bits", kClient, "82|7f|000000000000ffff", ""},
    {"LengthWithTheTopBit", kClient, "82|7f|8000000000000000", ""},
    {"CloseOfOneByte", kClient, "88|01|03", ""},
    {"Close999", kClient, "88|02|03e7", ""},
    {"Close1004", kClient, "88|02|03ec", ""},
    {"Close1005", kClient, "88|02|03ed", ""},
    {"Close1006", kClient, "88|02|03ee", ""},
    {"Close1015", kClient, "88|02|03f7", ""},
    {"Close2999", kClient, "88|02|0bb7", ""},
    {"Close5000", kServer, "88|82|00000000|1388", ""},
};

class InvalidWebSocket : public testing::TestWithParam<Invalid> {};

TEST_P(InvalidWebSocket, IsRefusedHoweverItIsCut) {
  const ByteVector wire = hex(GetParam().wire);
  for (std::size_t cut = 0; cut <= wire.size(); ++cut) {
    const Seen seen = read(GetParam().role, wire, {cut});
    EXPECT_EQ(seen.error, Errc::malformed);
    EXPECT_EQ(seen.close_code, GetParam().close_code);
    EXPECT_EQ(seen.data, GetParam().data);
  }
}

INSTANTIATE_TEST_SUITE_P(Vectors, InvalidWebSocket, testing::ValuesIn(kInvalid),
                         [](const auto& test) { return test.param.name; });

TEST(WebSocketReader, StaysRefusedAndClosed) {
  WebSocketReader refused(kClient), closed(kClient);
  ByteVector text = hex("8100"), close = hex("8800"), good = hex("8200");
  EXPECT_EQ(refused.next(text).error(), Errc::malformed);
  EXPECT_EQ(refused.next(good).error(), Errc::malformed);
  EXPECT_EQ(refused.close_code(), kCloseNotBinary);
  EXPECT_TRUE(closed.next(close));
  EXPECT_EQ(closed.next(good).error(), Errc::closed);
  EXPECT_EQ(closed.close_code(), 0);
}

TEST(WebSocketReader, HandsOutAFrameAsItComesAndInPlace) {
  WebSocketReader reader(kServer);
  ByteVector in = hex("82|ff|0000000000010000|37fa213d|7f9f4d");
  const auto first = reader.next(in);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->used, in.size());
  EXPECT_EQ(first->payload.data(), in.data() + 14);
  EXPECT_EQ(text_of(first->payload), "Hel");
  in = hex("5158|37fa213d");
  const auto second = reader.next(in);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->payload.data(), in.data());
  EXPECT_EQ(text_of(second->payload).substr(0, 2), "lo");
  EXPECT_EQ(reader.next({})->kind, Kind::incomplete);
}

TEST(WebSocketReader, TakesTheLongestControlFrame) {
  ByteVector wire(kLongestControlFrame);
  const std::size_t size = write_frame_header(wire, WebSocketOpcode::ping, kLongestControlPayload, kMask);
  EXPECT_EQ(size + kLongestControlPayload, kLongestControlFrame);
  EXPECT_EQ(read(kServer, ByteVector(wire.begin(), wire.end() - 1)).unused, kLongestControlFrame - 1);
  EXPECT_EQ(read(kServer, wire).controls.size(), kLongestControlPayload + std::string("ping()").size());
}

TEST(WebSocketReader, TakesTheCodesThatMayBeSent) {
  for (const char* wire : {"88 02 03e8", "88 02 03eb", "88 02 03ef", "88 02 03f6", "88 02 0bb8", "88 02 1387"}) {
    const Seen seen = read(kClient, hex(wire));
    EXPECT_FALSE(seen.error) << wire;
    EXPECT_THAT(seen.controls, testing::StartsWith("close(")) << wire;
  }
}

TEST(WebSocketReader, TakesTheLargestLength) {
  WebSocketReader reader(kClient);
  ByteVector in = hex("82|7f|7fffffffffffffff|41");
  EXPECT_EQ(reader.next(in)->payload.size(), 1u);
}

struct Length {
  std::uint64_t payload;
  const char* unmasked;
};

TEST(FrameHeader, IsThisBytewise) {
  // 256 bytes and 64 KiB are RFC 6455's.
  for (const auto& [payload, unmasked] :
       {Length{0, "8200"}, Length{125, "827d"}, Length{126, "827e007e"}, Length{256, "827e0100"},
        Length{65535, "827effff"}, Length{65536, "827f0000000000010000"}}) {
    ByteVector expected = hex(unmasked), out(kLongestWebSocketHeader);
    out.resize(write_frame_header(out, WebSocketOpcode::binary, payload));
    EXPECT_EQ(out, expected);
    expected[1] |= std::byte{0x80};
    expected.insert(expected.end(), kMask.begin(), kMask.end());
    out.resize(kLongestWebSocketHeader);
    out.resize(write_frame_header(out, WebSocketOpcode::binary, payload, kMask));
    EXPECT_EQ(out, expected);
    out.pop_back();
    EXPECT_EQ(write_frame_header(out, WebSocketOpcode::binary, payload, kMask), 0u);
  }
}

TEST(FrameHeader, BeginsAFrameThatIsReadAgain) {
  for (const std::size_t size : {0, 1, 125, 126, 65535, 65536, 100000}) {
    std::string text;
    for (std::size_t i = 0; i < size; ++i) text += static_cast<char>(i * 7);
    for (const auto role : {kServer, kClient}) {
      const std::optional<WebSocketMask> mask = role == kServer ? std::optional(kMask) : std::nullopt;
      ByteVector wire(kLongestWebSocketHeader + size);
      const std::size_t header = write_frame_header(wire, WebSocketOpcode::binary, size, mask);
      wire.resize(header + size);
      const MutableBytes payload = MutableBytes(wire).subspan(header);
      std::ranges::copy(bytes_of(text), payload.begin());
      if (mask) mask_payload(payload, *mask);
      const Seen seen = read(role, wire, {wire.size() / 3, wire.size() / 2});
      EXPECT_TRUE(seen.data == text) << size;
    }
  }
}

TEST(MaskPayload, IsTheSameByteByByte) {
  for (std::size_t size = 0; size < 200; ++size) {
    for (std::size_t phase = 0; phase < 5; ++phase) {
      ByteVector bytes(size), expected(size);
      for (std::size_t i = 0; i < size; ++i) {
        bytes[i] = static_cast<std::byte>(i);
        expected[i] = bytes[i] ^ kMask[(phase + i) % 4];
      }
      mask_payload(bytes, kMask, phase);
      EXPECT_EQ(bytes, expected) << size << ", " << phase;
    }
  }
}

TEST(WebSocketReader, AllocatesNothing) {
  WebSocketReader reader(kServer);
  ByteVector in = hex("82|85|37fa213d|7f9f4d5158|89|80|00000000|81");
  const std::size_t before = allocations();
  const auto data = reader.next(in);
  const auto ping = reader.next(MutableBytes(in).subspan(11));
  const auto text = reader.next(MutableBytes(in).subspan(17));
  EXPECT_EQ(allocations(), before);
  EXPECT_TRUE(data && ping && !text);
}

// RFC 6455, 1.3.
TEST(AcceptKey, IsTheExampleOfTheRfc) {
  EXPECT_EQ(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

}  // namespace
}  // namespace gatehouse
