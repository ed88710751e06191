#include <gatehouse/base/endian.hpp>
#include <gatehouse/plugin/blocked_answer.hpp>
#include <gatehouse/testkit/hex.hpp>

#include <gtest/gtest.h>

namespace gatehouse {
namespace {

using testkit::ByteVector;
using testkit::hex;

const ByteVector kQuery = hex("1234 0100 0001 0000 0000 0000 0161 0474657374 00 0001 0001");
const ByteVector kResponse =
    hex("1234 8180 0001 0001 0000 0000 0161 0474657374 00 0001 0001 c00c 0005 0001 0000003c 0004 0162 c00e");

ByteVector written(const std::string& answer, const ByteVector& message) {
  const BlockedAnswer blocked(Options(R"({"blocked_answer": ")" + answer + R"(", "blocked_ttl_seconds": 77})"));
  ByteVector out(message.size() + kBlockedAnswerGrowth);
  out.resize(blocked.write(message, out));
  return out;
}

TEST(BlockedAnswerOption, SaysWhatIsAnswered) {
  EXPECT_EQ(std::to_integer<unsigned>(written("nxdomain", kQuery).at(3)) & 15, 3u);
  EXPECT_EQ(std::to_integer<unsigned>(written("nodata", kQuery).at(3)) & 15, 0u);
  EXPECT_EQ(std::to_integer<unsigned>(written("refused", kQuery).at(3)) & 15, 5u);
  EXPECT_TRUE(written("drop", kQuery).empty());
}

TEST(BlockedAnswerOption, SaysHowLongItIsRemembered) {
  const ByteVector answer = written("nxdomain", kQuery);
  EXPECT_EQ(load_big<std::uint32_t>(Bytes(answer).last(4)), 77u);
  EXPECT_EQ(load_big<std::uint32_t>(Bytes(answer).subspan(kQuery.size() + 6)), 77u);
}

TEST(BlockedAnswerOption, IsTheSameForAQuestionAndAnAnswer) {
  for (const char* answer : {"nxdomain", "nodata", "refused", "drop"})
    EXPECT_EQ(written(answer, kQuery), written(answer, kResponse)) << answer;
}

TEST(BlockedAnswerOption, HasNothingToSayAboutOtherBytes) { EXPECT_TRUE(written("nxdomain", hex("1234")).empty()); }

}  // namespace
}  // namespace gatehouse
